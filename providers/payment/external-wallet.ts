/** Wallets whose keys the users hold: the chain says what is there, and nothing moves without the user's signature. */
import { StrKey } from '@stellar/stellar-sdk/base';
import { Refusal, refuseField } from '../../domain/refusal.ts';
import { paymentUri } from '../../domain/sep7.ts';
import type { ChainRpc } from '../chain/port.ts';
import type { PaymentProvider } from './port.ts';
import { withUserSignature } from './user-signature.ts';

export interface ExternalWalletParts {
  readonly passphrase: string;
  /** what SEP-7 requests name the network by; null on the public one */
  readonly namedPassphrase: string | null;
  readonly rpc: Pick<ChainRpc, 'account' | 'trustline'>;
}

const wrong = (code: string, detail: string) => refuseField('/wallet/address', code, detail);

export function createExternalWallet({ passphrase, namedPassphrase, rpc }: ExternalWalletParts) {
  return {
    name: 'external-wallet',
    custodial: false,
    initializeUser: async ({ address, asset }) => {
      if (address === null) throw wrong('REQUIRED', 'the address of the wallet is needed');
      // A muxed address or a contract cannot be the source of a funding.
      if (!StrKey.isValidEd25519PublicKey(address)) throw wrong('ADDRESS_FORMAT', 'not the address of an account (G…)');
      if ((await rpc.account(address)).value === null)
        throw wrong('NO_ACCOUNT', 'there is no such account on this network');
      const { value: line } = await rpc.trustline(address, asset);
      if (line?.authorized !== true) throw wrong('NO_TRUSTLINE', `the account cannot hold ${asset.code}`);
      return { status: 'READY', address };
    },
    isUserReady: async ({ address }, asset) =>
      address !== null && (await rpc.trustline(address, asset)).value?.authorized === true,
    getBalance: async ({ address }, asset) => {
      const line = address === null ? null : (await rpc.trustline(address, asset)).value;
      // What is frozen cannot be paid. We can hold nothing back in a wallet that is not ours.
      return { available: line?.authorized === true ? line.balance : 0n, reserved: 0n };
    },
    getDepositInfo: ({ address }, asset) =>
      address === null ? null : { address, memo: null, sep7Uri: paymentUri(address, asset, namedPassphrase) },
    signEscrowTransaction: async ({ wallet, envelope, signedEnvelope }) =>
      signedEnvelope === null
        ? { status: 'PENDING' }
        : { status: 'SIGNED', envelope: withUserSignature(envelope, signedEnvelope, wallet.address, passphrase) },
    sendPayment: () => {
      throw new Refusal('INVALID_STATE', 'the user holds the key of this wallet: there is nothing that we could pay');
    },
  } satisfies PaymentProvider;
}
