/** Server-sent events: pushed when a ledger closes; `limit` bounds the events of one connection. */
import type { ServerResponse } from 'node:http';
import type { SandboxCore } from '../core/core.ts';

/** After this long, or after `limit` events, the server says goodbye and the client comes again. */
const CONNECTION_MS = 55_000;

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  connection: 'keep-alive',
  'access-control-allow-origin': '*',
};

export interface StreamEvent {
  /** paging token; the object streams have none */
  readonly id?: string;
  readonly data: object;
}

/** What one connection is told next: the events behind those it has got, at most `room` of them. */
export type Source = (room: number) => StreamEvent[];

export interface Streams {
  /** Opens a stream that ends with the client, after `limit` events or after 55 s. */
  open(res: ServerResponse, source: Source, limit: number): void;
  count(): number;
  close(): void;
}

export function createStreams(core: SandboxCore): Streams {
  const pumps = new Map<ServerResponse, { pump: () => void; end: () => void }>();
  const stopListening = core.onClose(() => {
    for (const { pump } of pumps.values()) pump();
  });

  const open = (res: ServerResponse, source: Source, limit: number): void => {
    let room = limit;
    // The first query runs before the preamble: if it fails, the client gets a problem document.
    let events = source(room);
    const forget = (): void => {
      clearTimeout(timer);
      pumps.delete(res);
    };
    const end = (): void => {
      forget();
      res.end('retry: 10\nevent: close\ndata: "byebye"\n\n');
    };
    const send = (): void => {
      for (const { id, data } of events) {
        res.write(`${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
      }
      room -= events.length;
      if (room <= 0) end();
    };
    const timer = setTimeout(end, CONNECTION_MS);
    timer.unref();
    const pump = (): void => {
      events = source(room);
      send();
    };
    pumps.set(res, { pump, end });
    res.on('close', forget);
    res.on('error', forget);
    res.writeHead(200, HEADERS);
    res.write('retry: 1000\nevent: open\ndata: "hello"\n\n');
    send();
  };

  return {
    open,
    count: () => pumps.size,
    close: () => {
      stopListening();
      for (const [res, { end }] of pumps) {
        end();
        res.destroy();
      }
    },
  };
}
