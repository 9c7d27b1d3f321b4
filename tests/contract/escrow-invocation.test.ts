/** The calls we expect, against facts recorded from the deployed contracts in the official host. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { EscrowCall } from '../../domain/chain.ts';
import { deriveContractId, expectedAuth, expectedInvocation } from '../../providers/escrow/invocation.ts';

interface Recorded {
  readonly networkPassphrase: string;
  readonly assetContract: string;
  readonly feeWallet: string;
  readonly wasmHashes: Readonly<Record<'single' | 'multi', string>>;
  readonly calls: readonly {
    readonly build: 'single' | 'multi';
    readonly call: EscrowCall;
    readonly factory?: string;
    readonly salt?: string;
    readonly created?: string;
    readonly escrowState?: string;
    /** SHA-256 of the recorded XDR */
    readonly invocation: string;
    readonly withFeeWallet?: string;
    readonly auth?: string;
  }[];
}

const text = readFileSync(new URL('vectors/escrow-calls.json', import.meta.url), 'utf8');
const recorded = JSON.parse(text, (key, value: unknown) =>
  key === 'amount' ? BigInt(String(value)) : value,
) as Recorded;
const sha256 = (value: { toXdr(): Uint8Array }): string => createHash('sha256').update(value.toXdr()).digest('hex');

const contextOf = (entry: Recorded['calls'][number], feeWalletArgument: string | null) => ({
  factory: { contractId: entry.factory ?? '', wasmHash: recorded.wasmHashes[entry.build] },
  feeWalletArgument,
  assetContract: recorded.assetContract,
  escrowState: entry.escrowState ?? null,
  salt: entry.salt === undefined ? null : new Uint8Array(Buffer.from(entry.salt, 'hex')),
});

type Entry = Recorded['calls'][number];
const named = (entries: readonly Entry[]): [string, Entry][] =>
  entries.map((entry, index) => [`${entry.build} ${entry.call.fn} (${index})`, entry]);

describe('recorded calls', () => {
  test.each(named(recorded.calls))('%s is rebuilt byte for byte', (_name, entry) => {
    expect(sha256(expectedInvocation(entry.call, contextOf(entry, null)))).toBe(entry.invocation);
  });

  test.each(named(recorded.calls.filter(({ withFeeWallet }) => withFeeWallet !== undefined)))(
    '%s also in the build that takes the fee wallet as an argument',
    (_name, entry) => {
      const invocation = expectedInvocation(entry.call, contextOf(entry, recorded.feeWallet));
      expect(sha256(invocation)).toBe(entry.withFeeWallet);
    },
  );

  test.each(named(recorded.calls.filter(({ auth }) => auth !== undefined)))(
    '%s asks for exactly the recorded authorisation',
    (_name, entry) => {
      const invocation = expectedInvocation(entry.call, contextOf(entry, null));
      expect(sha256(expectedAuth(entry.call, invocation, recorded.assetContract))).toBe(entry.auth);
    },
  );
});

test('a deploy’s contract id is known before anything is signed (F1)', () => {
  const deploys = recorded.calls.filter(({ created }) => created !== undefined);
  expect(deploys.length).toBeGreaterThanOrEqual(4);
  for (const { factory = '', salt = '', created } of deploys) {
    const bytes = new Uint8Array(Buffer.from(salt, 'hex'));
    expect(deriveContractId(factory, bytes, recorded.networkPassphrase)).toBe(created);
  }
});
