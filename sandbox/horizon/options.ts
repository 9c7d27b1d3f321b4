/** What of a public Horizon's manners this one has; changed while it runs over `POST /control/horizon`. */
export interface HorizonOptions {
  /** credits an hour and client address, 3 600 on public servers; 0 is no limit */
  rateLimitPerHour: number;
  /** how many may come at once, beyond the first */
  rateLimitBurst: number;
  /** how often a stream looks for a newer ledger, 5 000 on public servers; 0 tells it when the ledger closes */
  streamPollMs: number;
  /** after this long the server says goodbye to a stream */
  streamMs: number;
  /** history is behind core by more than the server tolerates: reads answer 503 */
  staleHistory: boolean;
}

export const DEFAULT_HORIZON_OPTIONS: HorizonOptions = {
  rateLimitPerHour: 0,
  rateLimitBurst: 100,
  streamPollMs: 0,
  streamMs: 55_000,
  staleHistory: false,
};
