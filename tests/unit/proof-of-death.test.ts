import { describe, expect, test } from '@jest/globals';
import { type Evidence, isDead } from '../../domain/proof-of-death.ts';

/** Absent at ledger 200, which closed before the envelope's last second; the source has not used the number. */
const alive: Evidence = {
  absentAt: { ledger: 200, closedAt: 1_000, oldestLedger: 10 },
  signedLedger: 100,
  maxTime: 1_000n,
  maxLedger: null,
  sequence: 7n,
  source: { ledger: 200, sequence: 6n },
};

describe('an envelope is dead only when it is proved', () => {
  test('absence alone proves nothing', () => {
    expect(isDead(alive)).toBe(false);
  });
  test('absent in a ledger that closed after its last second', () => {
    expect(isDead({ ...alive, absentAt: { ...alive.absentAt, closedAt: 1_001 } })).toBe(true);
  });
  test('absent in a ledger from which on its bounds exclude it', () => {
    expect(isDead({ ...alive, maxLedger: 201 })).toBe(false);
    expect(isDead({ ...alive, maxLedger: 200 })).toBe(true);
  });
  test('its sequence number was used, read no later than the ledger in which it is absent', () => {
    expect(isDead({ ...alive, source: { ledger: 200, sequence: 7n } })).toBe(true);
    expect(isDead({ ...alive, source: { ledger: 200, sequence: 9n } })).toBe(true);
  });
  test('a sequence read at a later ledger may be its own use (F15)', () => {
    expect(isDead({ ...alive, source: { ledger: 201, sequence: 7n } })).toBe(false);
  });
  test('a history that begins after it was signed cannot prove absence (F29)', () => {
    const pruned = { ...alive.absentAt, closedAt: 5_000, oldestLedger: 101 };
    expect(isDead({ ...alive, absentAt: pruned })).toBe(false);
  });
  test('an account that is gone proves nothing about the number', () => {
    expect(isDead({ ...alive, source: { ledger: 200, sequence: null } })).toBe(false);
  });
});
