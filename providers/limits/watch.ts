/** Who is told how providers fare. Names as `endpointNames` gives them. */
export interface ProviderWatch {
  /** it answered, be it with a refusal */
  answered(name: string): void;
  /** no answer, trouble of its own, or an answer that cannot be used */
  failed(name: string, error: Error): void;
}

/** For commands and tests. */
export const UNWATCHED: ProviderWatch = { answered: () => undefined, failed: () => undefined };
