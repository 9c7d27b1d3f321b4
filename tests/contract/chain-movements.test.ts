/** Which events and operations are money, and which only look like it. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import {
  Account,
  Address,
  Asset,
  Keypair,
  MuxedAccount,
  Operation,
  StrKey,
  TransactionBuilder,
  nativeToScVal,
  xdr,
} from '@stellar/stellar-sdk/base';
import type { Movement } from '../../domain/chain.ts';
import { createAssetContracts, movementsOf, operationId } from '../../providers/chain/movements.ts';

const PASSPHRASE = 'A network of its own ; 2026';
const key = (name: string): Keypair => Keypair.fromRawEd25519Seed(createHash('sha256').update(name).digest());
const wallet = (name: string): string => key(name).publicKey();
const usdc = new Asset('USDC', wallet('issuer'));
const name = `USDC:${wallet('issuer')}`;
const genuine = usdc.contractId(PASSPHRASE);
const impostor = StrKey.encodeContract(createHash('sha256').update('impostor').digest());
const position = { ledger: 100, order: 2, closedAt: '2026-01-01T00:00:00Z' };

function event(contract: string, topics: xdr.ScVal[], data: xdr.ScVal): string {
  const body = xdr.ContractEventBody.v0(new xdr.ContractEventV0({ topics, data }));
  const contractId = new xdr.ContractId(StrKey.decodeContract(contract));
  return new xdr.ContractEvent({
    ext: xdr.ExtensionPoint.v0(),
    contractId,
    type: xdr.ContractEventType.contract,
    body,
  }).toXdr('base64');
}
const symbol = (text: string): xdr.ScVal => xdr.ScVal.scvSymbol(text);
const address = (text: string): xdr.ScVal => new Address(text).toScVal();
const i128 = (value: bigint): xdr.ScVal => nativeToScVal(value, { type: 'i128' });
const transfer = (contract: string, asset = name): string =>
  event(
    contract,
    [symbol('transfer'), address(wallet('a')), address(wallet('b')), xdr.ScVal.scvString(asset)],
    i128(5n),
  );

const envelopeOf = (operation: xdr.Operation): string =>
  new TransactionBuilder(new Account(wallet('source'), '1'), { fee: '100', networkPassphrase: PASSPHRASE })
    .addOperation(operation)
    .setTimeout(0)
    .build()
    .toXdr();
const call = envelopeOf(Operation.invokeContractFunction({ contract: genuine, function: 'f', args: [] }));
const succeeded = (results: xdr.OperationResult[] = []): xdr.TransactionResult =>
  new xdr.TransactionResult({
    feeCharged: 100n,
    result: xdr.TransactionResultResult.txSuccess(results),
    ext: xdr.TransactionResultExt.v0(),
  });

const read = (envelope: string, events: string[], result = succeeded()): Movement[] =>
  movementsOf({ envelope, result, events: [events] }, position, PASSPHRASE, createAssetContracts(PASSPHRASE)).movements;

describe('contract calls', () => {
  test('a transfer counts when the asset’s own contract says so, and never otherwise', () => {
    expect(read(call, [transfer(genuine)])).toMatchObject([
      {
        kind: 'TRANSFER',
        from: wallet('a'),
        to: wallet('b'),
        amount: 5n,
        asset: { code: 'USDC', issuer: wallet('issuer') },
      },
    ]);
    expect(read(call, [transfer(impostor)])).toEqual([]);
    expect(read(call, [transfer(genuine, `USDC:${wallet('somebody')}`), transfer(genuine, 'USDC')])).toEqual([]);
  });

  test('several movements of one call keep their order, index and operation; other events do not count', () => {
    const other = event(genuine, [symbol('tw_release')], address(wallet('a')));
    const movements = read(call, [transfer(genuine), other, transfer(impostor), transfer(genuine)]);
    expect(movements.map(({ index, operationId: id }) => [index, id])).toEqual([
      [0, operationId(100, 2, 1)],
      [1, operationId(100, 2, 1)],
    ]);
  });

  test('mint, burn and clawback have one side only', () => {
    const one = (kind: string): string =>
      event(genuine, [symbol(kind), address(wallet('a')), xdr.ScVal.scvString(name)], i128(7n));
    expect(read(call, ['mint', 'burn', 'clawback'].map(one)).map(({ kind, from, to }) => [kind, from, to])).toEqual([
      ['MINT', null, wallet('a')],
      ['BURN', wallet('a'), null],
      ['CLAWBACK', wallet('a'), null],
    ]);
  });

  test('an amount inside a map (muxed destination) is read, anything else is no movement', () => {
    const topics = [symbol('transfer'), address(wallet('a')), address(wallet('b')), xdr.ScVal.scvString(name)];
    const muxed = nativeToScVal(
      { amount: 9n, to_muxed_id: 1n },
      { type: { amount: ['symbol', 'i128'], to_muxed_id: ['symbol', 'u64'] } },
    );
    expect(read(call, [event(genuine, topics, muxed)])).toMatchObject([{ amount: 9n }]);
    expect(read(call, [event(genuine, topics, xdr.ScVal.scvVoid())])).toEqual([]);
  });
});

describe('classic operations', () => {
  test('a payment to a muxed address belongs to its account', () => {
    const destination = new MuxedAccount(new Account(wallet('b'), '0'), '77').accountId();
    const [movement] = read(envelopeOf(Operation.payment({ destination, asset: usdc, amount: '0.0000001' })), []);
    expect(movement).toMatchObject({ kind: 'PAYMENT', from: wallet('source'), to: wallet('b'), amount: 1n, index: 0 });
  });

  test('a path payment is worth what arrived, never what was sent', () => {
    const paths = { destination: wallet('b'), sendAsset: Asset.native(), destAsset: usdc };
    const receive = envelopeOf(Operation.pathPaymentStrictReceive({ ...paths, sendMax: '9', destAmount: '2' }));
    expect(read(receive, [])).toMatchObject([{ kind: 'PAYMENT', amount: 20_000_000n, asset: { code: 'USDC' } }]);

    const send = envelopeOf(Operation.pathPaymentStrictSend({ ...paths, sendAmount: '9', destMin: '1' }));
    const last = new xdr.SimplePaymentResult({
      destination: key('b').xdrPublicKey(),
      asset: usdc.toXdrObject(),
      amount: 17_000_000n,
    });
    const success = new xdr.PathPaymentStrictSendResultSuccess({ offers: [], last });
    const inner = xdr.PathPaymentStrictSendResult.pathPaymentStrictSendSuccess(success);
    const result = succeeded([xdr.OperationResult.opInner(xdr.OperationResultTr.pathPaymentStrictSend(inner))]);
    expect(read(send, [], result)).toMatchObject([{ kind: 'PAYMENT', amount: 17_000_000n, asset: { code: 'USDC' } }]);
  });

  test('opening an account moves XLM; trust lines move nothing', () => {
    const opened = read(envelopeOf(Operation.createAccount({ destination: wallet('b'), startingBalance: '0' })), []);
    expect(opened).toMatchObject([{ kind: 'CREATE_ACCOUNT', to: wallet('b'), amount: 0n, asset: { issuer: null } }]);
    expect(read(envelopeOf(Operation.changeTrust({ asset: usdc })), [])).toEqual([]);
  });
});

test('operation ids are those of every Horizon', () => {
  expect(operationId(100, 1, 1)).toBe('429496733697');
});
