/**
 * How often something was refused. Attempts that waited for something else (a turn, an account, a provider that was down)
 * do not count: after them the first refusal would already be taken for the last. Kept in this process; a new one is
 * patient anew.
 */
export interface Patience {
  /** @returns how often it was refused, this time included */
  refused(key: string): number;
  /** It went through, or was given up. */
  over(key: string): void;
}

export function createPatience(): Patience {
  const counts = new Map<string, number>();
  return {
    refused: (key) => {
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      return count;
    },
    over: (key) => void counts.delete(key),
  };
}
