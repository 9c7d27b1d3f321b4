/** 50 requests per 60 seconds and client, counted in fixed windows. */
const LIMIT = 50;
const WINDOW_MS = 60_000;

/** @returns a function that counts one request and tells the seconds to wait, or 0 when it may pass. */
export function createRateLimit(now: () => number): (client: string) => number {
  const windows = new Map<string, { start: number; used: number }>();
  return (client) => {
    const time = now();
    let window = windows.get(client);
    if (window === undefined || time - window.start >= WINDOW_MS) {
      window = { start: time, used: 0 };
      windows.set(client, window);
    }
    window.used += 1;
    return window.used <= LIMIT ? 0 : Math.ceil((window.start + WINDOW_MS - time) / 1000);
  };
}
