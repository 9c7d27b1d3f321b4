/** Server-sent events: told when a ledger closes, or when the stream looks; `limit` bounds the events of a connection. */
import type { ServerResponse } from 'node:http';
import type { SandboxCore } from '../core/core.ts';
import type { HorizonOptions } from './options.ts';
import { Problem } from './problem.ts';
import { goJson, type Request } from './respond.ts';

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
  /** Opens a stream that ends with the client, after `limit` events or when its time is over. */
  open(request: Request, source: Source, limit: number): void;
  count(): number;
  close(): void;
}

interface Stream {
  readonly look: () => void;
  readonly end: () => void;
}

/** One connection's state: what it may still be told, and when it looks next. */
function createStream(core: SandboxCore, { res, credit }: Request, source: Source, limit: number): Stream {
  let room = limit;
  let seen = core.latest().sequence;
  // The first query runs before the preamble: if it fails, the client gets a problem document.
  const first = source(room);
  const end = (): void => {
    res.end('retry: 10\nevent: close\ndata: "byebye"\n\n');
  };
  const tell = (events: readonly StreamEvent[]): void => {
    // What comes from one query goes out together, as several events often share a chunk.
    res.cork();
    for (const { id, data } of events) res.write(`${id === undefined ? '' : `id: ${id}\n`}data: ${goJson(data)}\n\n`);
    res.uncork();
    room -= events.length;
    if (room <= 0) end();
  };
  const fail = (reason: string): void => {
    res.end(`event: error\ndata: ${reason}\n\n`);
  };
  const look = (): void => {
    const latest = core.latest().sequence;
    if (latest === seen || res.writableEnded) return;
    seen = latest;
    if (!credit()) return fail('Rate limit exceeded');
    try {
      tell(source(room));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fail(error.message);
    }
  };
  res.writeHead(200, HEADERS);
  res.write('retry: 1000\nevent: open\ndata: "hello"\n\n');
  tell(first);
  return { look, end };
}

export function createStreams(core: SandboxCore, options: HorizonOptions): Streams {
  const streams = new Map<ServerResponse, Stream>();
  const stopListening = core.onClose(() => {
    if (options.streamPollMs === 0) for (const { look } of streams.values()) look();
  });
  return {
    open: (request, source, limit) => {
      const { res } = request;
      const stream = createStream(core, request, source, limit);
      streams.set(res, stream);
      const goodbye = setTimeout(stream.end, options.streamMs).unref();
      const poll = options.streamPollMs === 0 ? undefined : setInterval(stream.look, options.streamPollMs).unref();
      const forget = (): void => {
        clearTimeout(goodbye);
        clearInterval(poll);
        streams.delete(res);
      };
      res.on('close', forget);
      res.on('error', forget);
    },
    count: () => streams.size,
    close: () => {
      stopListening();
      for (const [res, { end }] of streams) {
        end();
        res.destroy();
      }
    },
  };
}
