/** Somebody of the outside world with USDC, who uses the network through its own APIs. */
import {
  Account,
  Address,
  Asset,
  Contract,
  Horizon,
  Keypair,
  Operation,
  TransactionBuilder,
  nativeToScVal,
  rpc,
  type xdr,
} from '@stellar/stellar-sdk';
import type { TestStack } from './stack.ts';
import { eventually } from './wait.ts';

type AnyOperation = ReturnType<typeof Operation.payment>;

export async function createStranger(stack: TestStack, amount: string) {
  const key = Keypair.random();
  const address = key.publicKey();
  const networkPassphrase = stack.env['NETWORK_PASSPHRASE'] ?? '';
  const horizon = new Horizon.Server(`${stack.sandboxUrl}/horizon`, { allowHttp: true });
  const soroban = new rpc.Server(`${stack.sandboxUrl}/rpc`, { allowHttp: true });
  const [code = '', issuer = ''] = (stack.env['ASSETS'] ?? '').split(':');
  const usdc = new Asset(code, issuer);

  const build = async (...operations: AnyOperation[]) => {
    const { sequence } = await horizon.loadAccount(address);
    const builder = new TransactionBuilder(new Account(address, sequence), { fee: '1000', networkPassphrase });
    for (const operation of operations) builder.addOperation(operation);
    return builder.setTimeout(60).build();
  };
  /** One transaction, in a ledger when this resolves. */
  const send = async (...operations: AnyOperation[]) => {
    const transaction = await build(...operations);
    transaction.sign(key);
    return horizon.submitTransaction(transaction, { skipMemoRequiredCheck: true });
  };
  const pay = (destination: string, value: string) => Operation.payment({ destination, asset: usdc, amount: value });
  /** Calls a contract; carried out when this resolves. */
  const call = async (contractId: string, fn: string, ...args: xdr.ScVal[]): Promise<void> => {
    const prepared = await soroban.prepareTransaction(await build(new Contract(contractId).call(fn, ...args)));
    prepared.sign(key);
    const { hash } = await soroban.sendTransaction(prepared);
    await eventually(async () => (await soroban.getTransaction(hash)).status === 'SUCCESS');
  };
  /** A contract is paid through the asset's own contract. `stroops` as an integer. */
  const payContract = (contractId: string, stroops: bigint): Promise<void> => {
    const [from, to] = [new Address(address).toScVal(), new Address(contractId).toScVal()];
    const amount = nativeToScVal(stroops, { type: 'i128' });
    return call(usdc.contractId(networkPassphrase), 'transfer', from, to, amount);
  };

  await fetch(`${stack.sandboxUrl}/horizon/friendbot?addr=${address}`);
  await send(Operation.changeTrust({ asset: usdc }));
  await fetch(`${stack.sandboxUrl}/control/faucet`, { method: 'POST', body: JSON.stringify({ address, amount }) });
  return { address, send, pay, call, payContract };
}
