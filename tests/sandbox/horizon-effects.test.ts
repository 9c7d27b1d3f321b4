import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  Address,
  Asset,
  BASE_FEE,
  Contract,
  Keypair,
  nativeToScVal,
  Operation,
  rpc,
  TransactionBuilder,
} from '@stellar/stellar-sdk';
import { parseAmount } from '../../domain/money.ts';
import { type Market, openMarket } from './horizon-support.ts';

let market: Market;
const names = (records: readonly { type: string }[]) => records.map(({ type }) => type);

beforeAll(async () => {
  market = await openMarket();
});

afterAll(() => market.sandbox.close());

const effectsOf = async (hash: string) => (await market.server.effects().forTransaction(hash).call()).records;

describe('effects', () => {
  test('of a payment: credited, then debited, under numbers that begin at 1', async () => {
    const { alice, bob, usdc, submit, server } = market;
    const hash = await submit(alice, [Operation.payment({ destination: bob.publicKey(), asset: usdc, amount: '2.5' })]);
    const records = await effectsOf(hash);
    expect(records).toMatchObject([
      { type: 'account_credited', type_i: 2, account: bob.publicKey(), amount: '2.5000000', asset_code: 'USDC' },
      { type: 'account_debited', type_i: 3, account: alice.publicKey(), amount: '2.5000000' },
    ]);
    const [{ id } = { id: 0n }] = market.sandbox.core.transaction(hash)?.operations ?? [];
    expect(records.map((record) => record.paging_token)).toEqual([`${id}-1`, `${id}-2`]);
    expect(records[0]?.id).toBe(`${String(id).padStart(19, '0')}-0000000001`);
    expect(names((await server.effects().forOperation(String(id)).call()).records)).toEqual(names(records));
    expect(names((await server.effects().forLedger(market.sandbox.core.latest().sequence).call()).records)).toEqual(
      names(records),
    );
  });

  test('of a wallet’s life under a sponsor, each with who pays its reserve', async () => {
    const { alice, usdc, submit, server } = market;
    const wallet = Keypair.random();
    const source = wallet.publicKey();
    const opened = await submit(
      alice,
      [
        Operation.beginSponsoringFutureReserves({ sponsoredId: source }),
        Operation.createAccount({ destination: source, startingBalance: '0' }),
        Operation.changeTrust({ source, asset: usdc, limit: '50' }),
        Operation.endSponsoringFutureReserves({ source }),
      ],
      [alice, wallet],
    );
    const effects = await effectsOf(opened);
    expect(names(effects)).toEqual([
      'account_created',
      'account_debited',
      'signer_created',
      'account_sponsorship_created',
      'trustline_created',
      'trustline_sponsorship_created',
    ]);
    expect(effects[3]).toMatchObject({ account: source, sponsor: alice.publicKey() });
    expect(effects[4]).toMatchObject({ account: source, limit: '50.0000000', asset_code: 'USDC' });
    const operations = await server.operations().forTransaction(opened).call();
    expect(operations.records.map((record) => (record as { sponsor?: string }).sponsor)).toEqual([
      undefined,
      alice.publicKey(),
      alice.publicKey(),
      undefined,
    ]);
    const closed = await submit(
      alice,
      [
        Operation.changeTrust({ source, asset: usdc, limit: '60' }),
        Operation.changeTrust({ source, asset: usdc, limit: '0' }),
        Operation.accountMerge({ source, destination: alice.publicKey() }),
      ],
      [alice, wallet],
    );
    expect(names(await effectsOf(closed))).toEqual([
      'trustline_updated',
      'trustline_removed',
      'trustline_sponsorship_removed',
      'account_debited',
      'account_credited',
      'account_removed',
      'account_sponsorship_removed',
    ]);
  });

  test('of options, data and numbers', async () => {
    const { bob, submit } = market;
    const signer = Keypair.random().publicKey();
    const hash = await submit(bob, [
      Operation.setOptions({
        homeDomain: 'example.org',
        lowThreshold: 1,
        signer: { ed25519PublicKey: signer, weight: 3 },
      }),
      Operation.setOptions({ signer: { ed25519PublicKey: signer, weight: 2 } }),
      Operation.setOptions({ signer: { ed25519PublicKey: signer, weight: 0 } }),
      Operation.manageData({ name: 'note', value: 'a' }),
      Operation.manageData({ name: 'note', value: 'b' }),
      Operation.manageData({ name: 'note', value: null }),
      Operation.bumpSequence({ bumpTo: '0' }),
      Operation.setOptions({ setFlags: 1 }),
      Operation.setOptions({ clearFlags: 1 }),
    ]);
    const effects = await effectsOf(hash);
    expect(names(effects)).toEqual([
      'account_home_domain_updated',
      'account_thresholds_updated',
      'signer_created',
      'signer_updated',
      'signer_removed',
      'data_created',
      'data_updated',
      'data_removed',
      'account_flags_updated',
      'account_flags_updated',
    ]);
    expect(effects[2]).toMatchObject({ public_key: signer, weight: 3 });
    expect(effects.slice(8)).toMatchObject([{ auth_required_flag: true }, { auth_required_flag: false }]);
  });

  test('of what the issuer does: frozen, and clawed back', async () => {
    const { sandbox, bob, server } = market;
    const control = (path: string, body: object) =>
      fetch(`${sandbox.url}/control${path}`, {
        method: 'POST',
        body: JSON.stringify({ address: bob.publicKey(), ...body }),
      });
    await control('/freeze', {});
    await control('/clawback', { amount: '1' });
    await control('/unfreeze', {});
    const { records } = await server
      .effects()
      .forAccount(sandbox.accounts.issuer.publicKey())
      .order('desc')
      .limit(3)
      .call();
    expect(records).toMatchObject([
      { type: 'trustline_flags_updated', trustor: bob.publicKey(), authorized_flag: true },
      { type: 'account_credited', amount: '1.0000000' },
      { type: 'trustline_flags_updated', trustor: bob.publicKey(), authorized_flag: false },
    ]);
    const own = await server.effects().forAccount(bob.publicKey()).order('desc').limit(1).call();
    expect(own.records).toMatchObject([{ type: 'account_debited', amount: '1.0000000', account: bob.publicKey() }]);
  });

  test('of a contract call: accounts under their own name, contracts under the caller’s', async () => {
    const { sandbox, alice, usdc, server } = market;
    const soroban = new rpc.Server(`${sandbox.url}/rpc`, { allowHttp: true });
    const token = new Contract(usdc.contractId(sandbox.core.networkPassphrase));
    const to = Asset.native().contractId(sandbox.core.networkPassphrase);
    const call = token.call(
      'transfer',
      new Address(alice.publicKey()).toScVal(),
      new Address(to).toScVal(),
      nativeToScVal(30_000_000n, { type: 'i128' }),
    );
    const built = new TransactionBuilder(await server.loadAccount(alice.publicKey()), {
      fee: BASE_FEE,
      networkPassphrase: sandbox.core.networkPassphrase,
    })
      .addOperation(call)
      .setTimeout(60)
      .build();
    const prepared = await soroban.prepareTransaction(built);
    prepared.sign(alice);
    const { hash } = await server.submitTransaction(prepared);
    expect(await effectsOf(hash)).toMatchObject([
      { type: 'account_debited', account: alice.publicKey(), amount: '3.0000000' },
      { type: 'contract_credited', account: alice.publicKey(), contract: to, amount: '3.0000000' },
    ]);
  });

  test('add up to the balance: a second opinion about every wallet', async () => {
    const { server, alice, bob, usdc } = market;
    for (const one of [alice, bob]) {
      let sum = 0n;
      let page = await server.effects().forAccount(one.publicKey()).limit(3).call();
      for (; page.records.length > 0; page = await page.next()) {
        for (const record of page.records) {
          expect((record as unknown as { account: string }).account).toBe(one.publicKey());
          if (!('amount' in record) || !('asset_issuer' in record) || record.asset_issuer !== usdc.getIssuer())
            continue;
          const amount = parseAmount(String(record.amount));
          if (record.type === 'account_credited') sum += amount;
          if (record.type === 'account_debited') sum -= amount;
        }
      }
      const held = market.sandbox.core.view().trustline(one.publicKey(), market.sandbox.accounts.usdc)?.balance;
      expect(sum).toBe(held);
    }
  });

  test('a failed transaction has none', async () => {
    const { alice, bob, usdc, build, server, get } = market;
    const transaction = await build(alice, [
      Operation.payment({ destination: bob.publicKey(), asset: usdc, amount: '1' }),
      Operation.payment({ destination: bob.publicKey(), asset: usdc, amount: '100000' }),
    ]);
    await expect(server.submitTransaction(transaction)).rejects.toThrow();
    const hash = Buffer.from(transaction.hash()).toString('hex');
    const page = (await (await get(`/transactions/${hash}/effects`)).json()) as { _embedded: { records: object[] } };
    expect(page._embedded.records).toEqual([]);
  });

  test('pages go both ways, also within one operation', async () => {
    const { server } = market;
    const all = (await server.effects().limit(200).call()).records.map((record) => record.paging_token);
    const ahead: string[] = [];
    let page = await server.effects().limit(3).call();
    for (; page.records.length > 0; page = await page.next())
      ahead.push(...page.records.map((one) => one.paging_token));
    expect(ahead).toEqual(all);
    const back: string[] = [];
    const start = all.at(-1) ?? '';
    page = await server.effects().order('desc').cursor(start).limit(2).call();
    for (; page.records.length > 0; page = await page.next()) back.push(...page.records.map((one) => one.paging_token));
    expect(back).toEqual(all.toReversed().slice(1));
  });

  test('a cursor of one half skips the operation it names; two halves are an effect’s alone', async () => {
    const { records, get } = market;
    const [first, second] = await records('/effects?limit=2');
    const operation = String(first?.['paging_token']).split('-')[0] ?? '';
    expect(String(second?.['paging_token']).startsWith(operation)).toBe(true);
    const [next] = await records(`/effects?cursor=${operation}&limit=1`);
    expect(String(next?.['paging_token']).startsWith(`${operation}-`)).toBe(false);
    expect((await get(`/payments?cursor=${operation}-1`)).status).toBe(400);
    expect((await get('/effects?cursor=1-x')).status).toBe(400);
  });
});
