/** A user who holds the key of his wallet: an account on the network, and a signature when he is asked for one. */
import { randomUUID } from 'node:crypto';
import { Account, Asset, Horizon, Keypair, Operation, TransactionBuilder } from '@stellar/stellar-sdk';
import { type UserBody, insist } from './flows.ts';
import type { Call, TestStack } from './stack.ts';

type Sandbox = Pick<TestStack, 'env' | 'sandboxUrl'>;

export interface OwnWallet {
  readonly address: string;
  /** the envelope with his signature, base64 */
  sign(envelope: string): string;
  /** sends something of his own, which uses a sequence number */
  stir(): Promise<void>;
  /** takes no more than this from now on */
  limitTo(limit: string): Promise<void>;
  /** sends an envelope to the network himself, at his own expense */
  submit(signedEnvelope: string): Promise<void>;
}

/** @param amount what the wallet holds; null: it has no trustline either */
export async function createOwnWallet(stack: Sandbox, amount: string | null): Promise<OwnWallet> {
  const key = Keypair.random();
  const address = key.publicKey();
  const networkPassphrase = stack.env['NETWORK_PASSPHRASE'] ?? '';
  const horizon = new Horizon.Server(`${stack.sandboxUrl}/horizon`, { allowHttp: true });
  const [code = '', issuer = ''] = (stack.env['ASSETS'] ?? '').split(':');

  const changeTrust = (limit?: string) =>
    send(Operation.changeTrust({ asset: new Asset(code, issuer), ...(limit === undefined ? {} : { limit }) }));
  const send = async (operation: ReturnType<typeof Operation.payment>) => {
    const { sequence } = await horizon.loadAccount(address);
    const transaction = new TransactionBuilder(new Account(address, sequence), { fee: '1000', networkPassphrase })
      .addOperation(operation)
      .setTimeout(60)
      .build();
    transaction.sign(key);
    await horizon.submitTransaction(transaction, { skipMemoRequiredCheck: true });
  };

  await fetch(`${stack.sandboxUrl}/horizon/friendbot?addr=${address}`);
  if (amount !== null) {
    await changeTrust();
    await payInto(stack, address, amount);
  }
  return {
    address,
    sign: (envelope) => {
      const transaction = TransactionBuilder.fromXdr(envelope, networkPassphrase);
      transaction.sign(key);
      return transaction.toXdr();
    },
    stir: () => send(Operation.bumpSequence({ bumpTo: '0' })),
    limitTo: changeTrust,
    submit: async (envelope) => {
      const transaction = TransactionBuilder.fromXdr(envelope, networkPassphrase);
      await horizon.submitTransaction(transaction, { skipMemoRequiredCheck: true });
    },
  };
}

/** USDC from the issuer. */
export async function payInto(stack: Sandbox, address: string, amount: string): Promise<void> {
  if (amount === '0') return;
  const body = JSON.stringify({ address, amount });
  const { status } = await fetch(`${stack.sandboxUrl}/control/faucet`, { method: 'POST', body });
  if (status !== 200 && status !== 201) throw new Error(`faucet answered ${status}`);
}

/** The wallet as a user of a marketplace. */
export async function ownUser(api: Call, { address }: OwnWallet): Promise<UserBody> {
  const wallet = { provider: 'external-wallet', address };
  const { status, body } = await insist<UserBody>(api, '/users', { external_user_id: `u-${randomUUID()}`, wallet });
  if (status !== 201) throw new Error(`POST /users answered ${status}: ${JSON.stringify(body)}`);
  return body;
}
