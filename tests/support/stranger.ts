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

type Network = Pick<TestStack, 'env' | 'sandboxUrl'> & {
  /** where no clock does */
  readonly closeLedger?: () => void;
};

export async function createStranger(stack: Network, amount: string) {
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
  const send = async (...operations: AnyOperation[]) => land(await build(...operations));
  const land = async (transaction: Awaited<ReturnType<typeof build>>): Promise<{ hash: string }> => {
    transaction.sign(key);
    const { hash } = await soroban.sendTransaction(transaction);
    stack.closeLedger?.();
    await eventually(async () => (await soroban.getTransaction(hash)).status === 'SUCCESS');
    return { hash };
  };
  const pay = (destination: string, value: string) => Operation.payment({ destination, asset: usdc, amount: value });
  /** Calls a contract; carried out when this resolves. */
  const call = async (contractId: string, fn: string, ...args: xdr.ScVal[]) =>
    land(await soroban.prepareTransaction(await build(new Contract(contractId).call(fn, ...args))));
  /** A contract is paid through the asset's own contract. `stroops` as an integer. */
  const payContract = (contractId: string, stroops: bigint) => {
    const [from, to] = [new Address(address).toScVal(), new Address(contractId).toScVal()];
    const amount = nativeToScVal(stroops, { type: 'i128' });
    return call(usdc.contractId(networkPassphrase), 'transfer', from, to, amount);
  };

  await fetch(`${stack.sandboxUrl}/horizon/friendbot?addr=${address}`);
  await send(Operation.changeTrust({ asset: usdc }));
  await fetch(`${stack.sandboxUrl}/control/faucet`, { method: 'POST', body: JSON.stringify({ address, amount }) });
  return { address, send, pay, call, payContract };
}
