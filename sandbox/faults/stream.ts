/** Faults of server-sent events, decided event by event: they also strike streams that were open before. */
import type { ServerResponse } from 'node:http';

type StreamFault = 'stream_stall' | 'stream_drop' | 'duplicate_events';

const isEvent = (chunk: unknown): boolean => typeof chunk === 'string' && /^(id|data):/.test(chunk);

/** @param check whether the fault strikes the event that is about to be sent */
export function guardStream(res: ServerResponse, check: (fault: StreamFault) => boolean): void {
  const write = res.write.bind(res) as (chunk: unknown) => boolean;
  const end = res.end.bind(res) as (chunk?: unknown) => ServerResponse;
  let silent = false;
  res.write = (chunk: unknown): boolean => {
    if (silent) return true;
    if (!isEvent(chunk)) return write(chunk);
    silent = check('stream_stall');
    if (silent) return true;
    if (check('stream_drop')) {
      res.destroy();
      return false;
    }
    if (check('duplicate_events')) write(chunk);
    return write(chunk);
  };
  // A stalled server does not say goodbye either.
  res.end = (chunk?: unknown): ServerResponse => (silent ? res : end(chunk));
}
