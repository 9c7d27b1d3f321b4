/** What `why` makes of what it has read. */
import { describe, expect, test } from '@jest/globals';
import { decodeError, decodeResult } from '../../cli/why/decode.ts';
import { renderWhy } from '../../cli/why/render.ts';
import { type Why, differencesOf, nextStep } from '../../cli/why/report.ts';

const ESCROW = `C${'A'.repeat(55)}`;
const ASSET = `C${'B'.repeat(55)}`;
const STRANGER = `C${'D'.repeat(55)}`;
const CONTRACTS = [
  { id: ESCROW, type: 'SINGLE_RELEASE' },
  { id: ASSET, type: 'ASSET' },
] as const;
const raised = (contract: string, code: number): string =>
  `[Diagnostic Event] contract:${contract}, topics:[error, Error(Contract, #${code})], data:"escalating"`;

describe('an error is decoded to the contract that raised it', () => {
  test('the innermost contract, not the one that passed it on', () => {
    const text = `HostError: Error(Contract, #13)\n0: ${raised(ESCROW, 13)}\n1: ${raised(ASSET, 13)}`;
    expect(decodeError(text, CONTRACTS)).toBe(
      `the asset contract ${ASSET} raised its error 13 (TrustlineMissingError)`,
    );
  });

  test('the same number of the escrow has its own name', () => {
    expect(decodeError(raised(ESCROW, 3), CONTRACTS)).toBe(`the escrow ${ESCROW} raised its error 3 (EscrowNotFound)`);
  });

  test('a contract that nobody knows gets no name for its number', () => {
    expect(decodeError(raised(STRANGER, 3), CONTRACTS)).toMatch(/not of this order, raised its error 3$/);
  });

  test('a number without a contract is not guessed', () => {
    expect(decodeError('Error(Contract, #7)', CONTRACTS)).toMatch(/does not say which contract/);
  });

  test("the host's own errors are told apart, and other texts are left alone", () => {
    expect(decodeError('Error(Storage, MissingValue)', CONTRACTS)).toBe(
      'the host, not a contract: Storage MissingValue',
    );
    expect(decodeError('the provider answered 500', CONTRACTS)).toBeNull();
  });

  test('a result that cannot be read is no result', () => {
    expect(decodeResult('AAAA')).toBeNull();
    // fee, txBadSeq, no extension
    expect(decodeResult('AAAAAAAAAGT////7AAAAAA==')).toBe('txBadSeq');
  });
});

test('differences are found wherever a detail holds them', () => {
  const difference = { field: 'argument 2', expected: '250000000', actual: '500000000' };
  expect(differencesOf({ message: 'x', step: 'fund', detail: { differences: [difference] } })).toEqual([difference]);
  expect(differencesOf({ message: 'x', detail: null })).toEqual([]);
});

describe('what happens next', () => {
  const workflow = { status: 'RUNNING', run_id: 'r', build_id: null, history_events: 1, pending: [] };
  const activity = { activity_id: 'fund:prepare', activity: 'prepareTransaction', attempt: 4, last_failure: null };
  const waiting = {
    ...workflow,
    pending: [{ ...activity, state: 'SCHEDULED', next_attempt_at: '2026-01-01T00:00:00Z' }],
  };
  const row = { status: 'IN_PROGRESS', operation: null, waiting_for: null, due_at: null, due_action: null };
  const operation = {
    id: 'op',
    verb: 'fund',
    cause: 'API',
    step: null,
    transaction_hash: null,
    error: null,
    request_id: null,
  };

  test('a parked operation waits for a person, whatever else there is', () => {
    const parked = { ...row, operation: { ...operation, status: 'PARKED' }, due_at: '2026-02-01T00:00:00Z' };
    expect(nextStep(parked, waiting)).toMatch(/^nothing by itself/);
  });

  test('a retry is named with its attempt and its time', () => {
    expect(nextStep(row, waiting)).toBe('prepareTransaction (fund:prepare), attempt 4 at 2026-01-01T00:00:00Z');
  });

  test('a deadline is named with what it does', () => {
    const due = { ...row, due_at: '2026-02-01T00:00:00Z', due_action: 'AUTO_RELEASE' };
    expect(nextStep(due, workflow)).toBe('AUTO_RELEASE at 2026-02-01T00:00:00Z');
  });
});

test('nothing that a provider says steers the terminal', () => {
  const why: Why = {
    resource: { type: 'order', id: 'ord_1' },
    workflow_id: 'order/ord_1',
    row: null,
    request_id: null,
    gateway: null,
    next: 'nothing',
    workflow: { unavailable: 'no\u001b[2Jcluster' },
    attention: [],
    differences: [{ field: 'memo\u0007', expected: 'none', actual: '\u001b]0;title\u0007' }],
    errors: [{ at: 'operation fund', raw: 'a\u001b[31mb', decoded: null }],
    transactions: [],
    escrow: null,
    contract_id: null,
    contract: null,
    pending_transfers: [],
    trustlines: [],
    repairs: [],
  };
  const text = renderWhy(why).join('');
  for (const sequence of ['\u0007', '\u001b[2J', '\u001b]', '\u001b[31mb']) expect(text).not.toContain(sequence);
});
