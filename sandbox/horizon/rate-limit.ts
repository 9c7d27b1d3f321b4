/**
 * Credits per client: they come back one by one at an even pace, and as many as the burst allows can be spent at once
 * (the generic cell rate algorithm).
 */
import type { HorizonOptions } from './options.ts';

const HOUR_MS = 3_600_000;

interface Credit {
  readonly granted: boolean;
  /** what every answer states about the limit, and how long to wait when nothing is left */
  readonly headers: Record<string, string>;
}

const seconds = (ms: number): string => String(Math.max(0, Math.ceil(ms / 1000)));

/** @returns a function that takes one credit of a client, or none if there is none */
export function createRateLimit(options: HorizonOptions, now: () => number): (client: string) => Credit {
  /** client → when all its credits are back (ms) */
  const full = new Map<string, number>();
  return (client) => {
    if (options.rateLimitPerHour === 0) return { granted: true, headers: {} };
    const pace = HOUR_MS / options.rateLimitPerHour;
    const limit = options.rateLimitBurst + 1;
    const time = now();
    const before = Math.max(full.get(client) ?? time, time);
    const after = before + pace;
    const wait = after - limit * pace - time;
    const granted = wait <= 0;
    if (granted) full.set(client, after);
    const restored = (granted ? after : before) - time;
    const headers = {
      'x-ratelimit-limit': String(limit),
      'x-ratelimit-remaining': String(Math.max(0, Math.floor((limit * pace - restored) / pace))),
      'x-ratelimit-reset': seconds(restored),
    };
    return { granted, headers: granted ? headers : { ...headers, 'retry-after': seconds(wait) } };
  };
}
