import { afterAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Asset, Operation, type xdr } from '@stellar/stellar-sdk/base';
import fc from 'fast-check';
import type { SandboxCore } from '../../sandbox/core/core.ts';
import { openJournal } from '../../sandbox/core/journal.ts';
import { ledgerOf } from '../../sandbox/core/toid.ts';
import { accounts, build, bump, key, openCore, submit, USDC } from './core-support.ts';

const keys = Array.from({ length: 6 }, (_, index) => key(`random-${index}`));
const sponsor = key('random-sponsor');
const seeds = [...keys, sponsor];

const pick = fc.integer({ min: 0, max: keys.length - 1 });
const amount = fc.integer({ min: 1, max: 4_000_000_000 }).map((stroops) => (stroops / 1e7).toFixed(7));
const asset = fc.constantFrom('usdc', 'native');
const operation = fc.oneof(
  fc.record({ kind: fc.constant('pay'), source: pick, to: pick, amount, asset }),
  fc.record({ kind: fc.constant('send'), source: pick, to: pick, amount, asset }),
  fc.record({ kind: fc.constant('trust'), source: pick, to: pick, amount, asset }),
  fc.record({ kind: fc.constant('untrust'), source: pick, to: pick, amount, asset }),
  fc.record({ kind: fc.constant('create'), source: pick, to: pick, amount, asset }),
  fc.record({ kind: fc.constant('merge'), source: pick, to: pick, amount, asset }),
  fc.record({ kind: fc.constant('data'), source: pick, to: pick, amount, asset }),
  fc.record({ kind: fc.constant('sponsored'), source: pick, to: pick, amount, asset }),
  fc.record({ kind: fc.constant('mint'), source: pick, to: pick, amount, asset }),
);
type Random = { kind: string; source: number; to: number; amount: string; asset: string };
const transaction = fc.record({
  source: pick,
  bumped: fc.boolean(),
  operations: fc.array(operation, { minLength: 1, maxLength: 4 }),
});
const ledgers = fc.array(fc.array(transaction, { maxLength: 5 }), { minLength: 1, maxLength: 8 });

const address = (index: number): string => keys[index]?.publicKey() ?? '';

function operationsOf(random: Random): xdr.Operation[] {
  const source = address(random.source);
  const destination = address(random.to);
  const what = random.asset === 'usdc' ? USDC : Asset.native();
  switch (random.kind) {
    case 'pay':
      return [Operation.payment({ source, destination, asset: what, amount: random.amount })];
    case 'send':
      return [
        Operation.pathPaymentStrictReceive({
          source,
          sendAsset: what,
          sendMax: random.amount,
          destination,
          destAsset: what,
          destAmount: random.amount,
        }),
      ];
    case 'trust':
      return [Operation.changeTrust({ source, asset: USDC, limit: random.amount })];
    case 'untrust':
      return [Operation.changeTrust({ source, asset: USDC, limit: '0' })];
    case 'create':
      return [Operation.createAccount({ source, destination, startingBalance: random.amount })];
    case 'merge':
      return [Operation.accountMerge({ source, destination })];
    case 'data':
      return [Operation.manageData({ source, name: `n${random.to}`, value: random.amount.endsWith('1') ? null : 'v' })];
    case 'sponsored':
      return [
        Operation.beginSponsoringFutureReserves({ source: sponsor.publicKey(), sponsoredId: source }),
        Operation.changeTrust({ source, asset: USDC }),
        Operation.endSponsoringFutureReserves({ source }),
      ];
    default:
      return [
        Operation.payment({ source: accounts.issuer.publicKey(), destination, asset: USDC, amount: random.amount }),
      ];
  }
}

/** Signers that the operations need, besides the source of the transaction. */
function signersOf(source: number, operations: readonly Random[]) {
  const needed = new Set([source, ...operations.map((one) => (one.kind === 'mint' ? source : one.source))]);
  const own = [...needed].flatMap((index) => keys[index] ?? []);
  const kinds = new Set(operations.map(({ kind }) => kind));
  return [...own, ...(kinds.has('mint') ? [accounts.issuer] : []), ...(kinds.has('sponsored') ? [sponsor] : [])];
}

function open(path?: string): SandboxCore {
  const core = path === undefined ? openCore() : openCore(openJournal(path));
  if (core.latest().sequence > 1) return core;
  const create = seeds.map((one) => Operation.createAccount({ destination: one.publicKey(), startingBalance: '100' }));
  submit(core, build(core, accounts.friendbot, create));
  core.closeLedger();
  return core;
}

type Transactions = { source: number; bumped: boolean; operations: Random[] }[];

function play(core: SandboxCore, rounds: readonly Transactions[]): void {
  for (const round of rounds) {
    for (const { source, bumped, operations } of round) {
      const from = keys[source];
      if (from === undefined) continue;
      const ops = operations.flatMap(operationsOf);
      const inner = build(core, from, ops, { signers: signersOf(source, operations) });
      submit(core, bumped ? bump(sponsor, '200', inner) : inner);
    }
    core.closeLedger();
  }
}

/** All XLM there is, and what the issuer's side says of USDC against what people hold. */
function totals(core: SandboxCore) {
  const { accounts: all, trustlines } = core.dump();
  const moved = core.history.payments
    .filter(({ transaction: { successful } }) => successful)
    .flatMap(({ operation: { changes } }) => changes)
    .filter((change) => change.asset === accounts.usdc);
  const sum = (type: string) =>
    moved.filter((change) => change.type === type).reduce((total, one) => total + one.amount, 0n);
  return {
    xlm: all.reduce((total, { balance }) => total + balance, core.feePool()),
    held: trustlines.reduce((total, { balance }) => total + balance, 0n),
    issued: sum('mint') - sum('burn'),
  };
}

/** Counters that must agree with the entries they count. */
function reservesAgree(core: SandboxCore): void {
  const { accounts: all, trustlines } = core.dump();
  for (const account of all) {
    const lines = trustlines.filter((line) => line.account === account.id);
    const data = Object.values(account.data);
    expect(account.subentries).toBe(lines.length + data.length + account.signers.length);
    const own = [...lines, ...data, ...account.signers].filter(({ sponsor: by }) => by !== null).length;
    expect(account.sponsored).toBe(own + (account.sponsor === null ? 0 : 2));
    expect(account.balance >= 0n).toBe(true);
  }
  const sponsored = all.reduce((total, account) => total + account.sponsored, 0);
  expect(all.reduce((total, account) => total + account.sponsoring, 0)).toBe(sponsored);
}

describe('whatever is submitted', () => {
  test('no asset is created or lost, fees included, and reserves agree with the entries they are for', () => {
    fc.assert(
      fc.property(ledgers, (rounds) => {
        const core = open();
        const before = totals(core);
        play(core, rounds);
        const after = totals(core);
        expect(after.xlm).toBe(before.xlm);
        expect(after.held).toBe(after.issued);
        reservesAgree(core);
      }),
      { numRuns: 15 },
    );
  });

  test('ids rise strictly and name their ledger', () => {
    fc.assert(
      fc.property(ledgers, (rounds) => {
        const core = open();
        play(core, rounds);
        const { operations } = core.history;
        operations.forEach(({ id, transaction: { ledger } }, index) => {
          expect(ledgerOf(id)).toBe(ledger);
          if (index > 0) expect(id > (operations[index - 1]?.id ?? 0n)).toBe(true);
        });
      }),
      { numRuns: 6 },
    );
  });

  test('the same calls give the same hashes', () => {
    fc.assert(
      fc.property(ledgers, (rounds) => {
        const [one, two] = [open(), open()];
        play(one, rounds);
        play(two, rounds);
        expect(two.latest().hash).toBe(one.latest().hash);
      }),
      { numRuns: 5 },
    );
  });
});

describe('the journal', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-journal-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  let files = 0;
  const newFile = (): string => {
    files += 1;
    return join(folder, `${files}.journal`);
  };

  test('replays into the same ledger, and goes on from there as if nothing had happened', () => {
    fc.assert(
      fc.property(ledgers, ledgers, (first, second) => {
        const path = newFile();
        play(open(path), first);
        const again = open(path);
        const whole = open();
        play(whole, first);
        expect(again.dump()).toEqual(whole.dump());
        play(again, second);
        play(whole, second);
        expect(again.dump()).toEqual(whole.dump());
        expect(open(path).dump()).toEqual(whole.dump());
      }),
      { numRuns: 5 },
    );
  });

  test('half a line, left by a kill in the middle of writing, is dropped', () => {
    const path = newFile();
    const core = open(path);
    const { hash, sequence } = core.latest();
    appendFileSync(path, '{"sequence":99,"closed_at":17');
    const again = open(path);
    expect(again.latest()).toMatchObject({ hash, sequence });
    again.closeLedger();
    expect(open(path).latest().sequence).toBe(sequence + 1);
  });

  test('a ledger is on disk before anybody is told of it', () => {
    const path = newFile();
    const core = open(path);
    const seen: boolean[] = [];
    core.onClose(({ hash }) => seen.push(readFileSync(path, 'utf8').includes(hash)));
    core.closeLedger();
    expect(seen).toEqual([true]);
  });

  test('belongs to one process: another is told who has it, and takes it over once that one is gone', async () => {
    const path = newFile();
    const code = `import { openJournal } from '${new URL('../../sandbox/core/journal.ts', import.meta.url).href}';
      openJournal(process.argv[1]); process.stdout.write('open'); setInterval(() => undefined, 60_000);`;
    const other = spawn(process.execPath, ['--input-type=module', '--eval', code, path]);
    await once(other.stdout, 'data');
    expect(() => openJournal(path)).toThrow(`process ${other.pid} is using this data file`);
    other.kill('SIGKILL');
    await once(other, 'exit');
    openJournal(path).close();
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test('what is pending is lost with the process, as on any node; the same bytes are taken again', () => {
    const path = newFile();
    const pending = build(open(path), accounts.friendbot, [Operation.bumpSequence({ bumpTo: '0' })]);
    const killed = open(path);
    expect(submit(killed, pending).status).toBe('PENDING');
    const again = open(path);
    expect(again.pending()).toBe(0);
    expect(submit(again, pending).status).toBe('PENDING');
  });

  test('a journal that was tampered with is not believed', () => {
    const path = newFile();
    open(path).closeLedger();
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"closed_at":(\d+)/, '"closed_at":1$1'));
    expect(() => open(path)).toThrow('does not replay');
  });
});
