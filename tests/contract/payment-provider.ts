/** What every payment provider guarantees, against a local network. A new provider runs it from a test file of its own. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Account, Asset, Keypair, Operation, TransactionBuilder } from '@stellar/stellar-sdk/base';
import { Refusal } from '../../domain/refusal.ts';
import { hashes, signEnvelope } from '../../providers/chain/envelope.ts';
import type { PaymentParts } from '../../providers/payment/index.ts';
import type { PaymentBalance, PaymentProvider, UserWallet } from '../../providers/payment/port.ts';
import { type Network, startNetwork } from './network.ts';

interface Expected {
  /** of a wallet that holds 100 on chain, of which 30 are reserved where we keep books; stroops */
  readonly balance: PaymentBalance;
}

const UNIT = 10_000_000n;

/** @param make the provider from what the application gives it */
export function describePaymentProvider(
  name: string,
  make: (parts: PaymentParts) => PaymentProvider,
  expected: Expected,
): void {
  describe(name, () => {
    let net: Network;
    let provider: PaymentProvider;
    let wallet: UserWallet & { readonly address: string };

    beforeAll(async () => {
      net = await startNetwork();
      await net.provision(['user', 'other']);
      await net.faucet('user', '100');
      provider = make({
        passphrase: net.passphrase,
        namedPassphrase: net.passphrase,
        rpc: net.rpc,
        books: async () => ({ available: 70n * UNIT, reserved: 30n * UNIT }),
        withKey: async (_wallet, work) => work(net.key('user')),
      });
      const { address } = { address: net.address('user') };
      wallet = { id: 'wal_1', userId: 'usr_1', marketplaceId: 'mkt_1', status: 'READY', address };
    });
    afterAll(() => net.close());

    const begin = (address: string | null) => provider.initializeUser({ address, asset: net.asset });
    const ask = (envelope: string, signedEnvelope: string | null) =>
      provider.signEscrowTransaction({ wallet, envelope, signedEnvelope });
    /** What a wallet returns that its holder, or somebody else, has signed. */
    const signedBy = (envelope: string, ...names: string[]) =>
      signEnvelope(envelope, net.passphrase, names.map(net.key));
    const unsigned = async (amount: string): Promise<string> => {
      const { value } = await net.rpc.account(wallet.address);
      const { closedAt } = await net.rpc.latestLedger();
      const asset = new Asset(net.asset.code, net.asset.issuer);
      return new TransactionBuilder(new Account(wallet.address, String(value?.sequence)), {
        fee: '0',
        networkPassphrase: net.passphrase,
        timebounds: { minTime: 0, maxTime: closedAt + 120 },
      })
        .addOperation(Operation.payment({ destination: net.address('other'), asset, amount }))
        .build()
        .toXdr();
    };

    test('a user begins with a wallet that we make, or with his own that can hold the asset', async () => {
      if (provider.custodial) {
        expect(await begin(null)).toEqual({ status: 'PROVISIONING', address: null });
        await expect(begin(wallet.address)).rejects.toThrow(Refusal);
        return;
      }
      expect(await begin(wallet.address)).toEqual({ status: 'READY', address: wallet.address });
      const bare = net.sponsor.publicKey;
      for (const address of [null, 'GABC', Keypair.random().publicKey(), bare, net.info.factories.single])
        await expect(begin(address)).rejects.toThrow(Refusal);
    });

    test('a wallet is ready when it can hold the asset', async () => {
      expect(await provider.isUserReady(wallet, net.asset)).toBe(true);
      expect(await provider.isUserReady({ ...wallet, status: 'PROVISIONING', address: null }, net.asset)).toBe(false);
    });

    test('the balance says what may be spent', async () => {
      expect(await provider.getBalance(wallet, net.asset)).toMatchObject(expected.balance);
    });

    test('an address is shown when something may be sent to it (F39)', () => {
      const deposit = provider.getDepositInfo(wallet, net.asset);
      expect(deposit).toMatchObject({ address: wallet.address, memo: null });
      expect(deposit?.sep7Uri).toContain(`web+stellar:pay?destination=${wallet.address}`);
      expect(provider.getDepositInfo({ ...wallet, status: 'PROVISIONING', address: null }, net.asset)).toBeNull();
    });

    test('a signature is that of the wallet’s holder over this very transaction, and the network takes it', async () => {
      const envelope = await unsigned('1');
      if (!provider.custodial) expect(await ask(envelope, null)).toEqual({ status: 'PENDING' });
      const signature = await ask(envelope, provider.custodial ? null : signedBy(envelope, 'user'));
      if (signature.status !== 'SIGNED') throw new Error('it is not signed');
      expect(hashes(signature.envelope, net.passphrase)).toEqual(hashes(envelope, net.passphrase));
      expect(await net.land(signature.envelope, [])).toMatchObject({ successful: true });
    });

    test('what somebody else signed, or another transaction, is refused', async () => {
      if (provider.custodial) return expect((await ask(await unsigned('1'), null)).status).toBe('SIGNED');
      const [envelope, another] = [await unsigned('1'), await unsigned('2')];
      const wrong = [
        'AAAA',
        envelope,
        signedBy(envelope, 'other'),
        signedBy(envelope, 'user', 'other'),
        signedBy(another, 'user'),
        signEnvelope(envelope, 'Another Network', [net.key('user')]),
      ];
      for (const signed of wrong) await expect(ask(envelope, signed)).rejects.toThrow(Refusal);
    });

    test('we pay out of wallets whose keys we hold, and of no others', () => {
      const payment = { type: 'withdrawal', id: 'wd_1' } as const;
      if (provider.custodial) expect(provider.sendPayment(payment)).toEqual({ kind: 'PAY', payment });
      else expect(() => provider.sendPayment(payment)).toThrow(Refusal);
    });
  });
}
