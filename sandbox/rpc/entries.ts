/** `getLedgerEntries`: the ledger's entries as XDR. */
import { Address, StrKey, xdr } from '@stellar/stellar-sdk/base';
import { accountId, assetId, publicKey, sdkAsset } from '../core/keys.ts';
import type { AccountEntry, ContractDataEntry, Core, LedgerView, TrustlineEntry } from '../core/types.ts';
import { assertFormat, invalidParams, listParam, type Method } from './jsonrpc.ts';

const MAX_KEYS = 200;

interface Found {
  readonly data: xdr.LedgerEntryData;
  readonly lastModified: number;
  readonly sponsor: string | null;
  /** ledger up to which the entry lives; 0 when it is archived; undefined for entries that live for ever */
  readonly liveUntil?: number;
}

function signerKey(key: string): xdr.SignerKey {
  if (key.startsWith('G')) return xdr.SignerKey.signerKeyTypeEd25519(StrKey.decodeEd25519PublicKey(key));
  if (key.startsWith('T')) return xdr.SignerKey.signerKeyTypePreAuthTx(StrKey.decodePreAuthTx(key));
  return xdr.SignerKey.signerKeyTypeHashX(StrKey.decodeSha256Hash(key));
}

const sponsorId = (sponsor: string | null): xdr.PublicKey | null => (sponsor === null ? null : publicKey(sponsor));

/** Signers stand in the order of their keys, as on the ledger. */
function accountData(entry: AccountEntry): xdr.LedgerEntryData {
  const { master, low, med, high } = entry.thresholds;
  const signers = entry.signers
    .map(({ key, weight, sponsor }) => ({ signer: new xdr.Signer({ key: signerKey(key), weight }), sponsor }))
    .sort((a, b) => Buffer.compare(a.signer.key.toXdr(), b.signer.key.toXdr()));
  const v3 = new xdr.AccountEntryExtensionV3({
    ext: xdr.ExtensionPoint.v0(),
    seqLedger: entry.sequenceLedger,
    seqTime: BigInt(entry.sequenceTime),
  });
  const v2 = new xdr.AccountEntryExtensionV2({
    numSponsored: entry.sponsored,
    numSponsoring: entry.sponsoring,
    signerSponsoringIDs: signers.map(({ sponsor }) => sponsorId(sponsor)),
    ext: xdr.AccountEntryExtensionV2Ext.v3(v3),
  });
  const v1 = new xdr.AccountEntryExtensionV1({
    liabilities: new xdr.Liabilities({ buying: 0n, selling: 0n }),
    ext: xdr.AccountEntryExtensionV1Ext.v2(v2),
  });
  return xdr.LedgerEntryData.account(
    new xdr.AccountEntry({
      accountId: publicKey(entry.id),
      balance: entry.balance,
      seqNum: entry.sequence,
      numSubEntries: entry.subentries,
      inflationDest: null,
      flags: entry.flags,
      homeDomain: entry.homeDomain,
      thresholds: new Uint8Array([master, low, med, high]),
      signers: signers.map(({ signer }) => signer),
      ext: xdr.AccountEntryExt.v1(v1),
    }),
  );
}

const trustlineData = (entry: TrustlineEntry): xdr.LedgerEntryData =>
  xdr.LedgerEntryData.trustline(
    new xdr.TrustLineEntry({
      accountId: publicKey(entry.account),
      asset: sdkAsset(entry.asset).toTrustLineXdrObject(),
      balance: entry.balance,
      limit: entry.limit,
      flags: entry.flags,
      ext: xdr.TrustLineEntryExt.v0(),
    }),
  );

const contractData = (entry: ContractDataEntry): xdr.LedgerEntryData =>
  xdr.LedgerEntryData.contractData(
    new xdr.ContractDataEntry({
      ext: xdr.ExtensionPoint.v0(),
      contract: new Address(entry.contract).toScAddress(),
      key: xdr.ScVal.fromXdr(entry.key, 'base64'),
      durability: xdr.ContractDataDurability[entry.durability],
      val: xdr.ScVal.fromXdr(entry.value, 'base64'),
    }),
  );

function findContractData(view: LedgerView, key: xdr.LedgerKeyContractData): Found | undefined {
  const entry = view.contractData(Address.fromScAddress(key.contract).toString(), key.key.toXdr('base64'));
  if (entry === undefined || entry.durability !== key.durability.name) return undefined;
  const expired = entry.liveUntil < view.sequence;
  if (expired && entry.durability === 'temporary') return undefined;
  const { lastModified, liveUntil } = entry;
  return { data: contractData(entry), lastModified, sponsor: null, liveUntil: expired ? 0 : liveUntil };
}

/** What an account keeps under a name. */
function findAccountData(view: LedgerView, key: xdr.LedgerKeyData): Found | undefined {
  const account = view.account(accountId(key.accountId));
  const item = account?.data[key.dataName.toString()];
  if (account === undefined || item === undefined) return undefined;
  const content = new xdr.DataEntry({
    accountId: key.accountId,
    dataName: key.dataName,
    dataValue: new Uint8Array(Buffer.from(item.value, 'base64')),
    ext: xdr.DataEntryExt.v0(),
  });
  return { data: xdr.LedgerEntryData.data(content), lastModified: account.lastModified, sponsor: item.sponsor };
}

function find(view: LedgerView, key: xdr.LedgerKey): Found | undefined {
  switch (key.type) {
    case 'account': {
      const entry = view.account(accountId(key.account.accountId));
      return entry === undefined ? undefined : { ...entry, data: accountData(entry) };
    }
    case 'trustline': {
      const asset = assetId(key.trustLine.asset);
      const entry = asset === undefined ? undefined : view.trustline(accountId(key.trustLine.accountId), asset);
      return entry === undefined ? undefined : { ...entry, data: trustlineData(entry) };
    }
    case 'contractData':
      return findContractData(view, key.contractData);
    case 'data':
      return findAccountData(view, key.data);
    case 'ttl':
      throw invalidParams('ledger ttl entries cannot be queried directly');
    default:
      // the ledger has no offers, pools, claimable balances, code
      return undefined;
  }
}

function extensionOf(sponsor: string | null): xdr.LedgerEntryExt {
  if (sponsor === null) return xdr.LedgerEntryExt.v0();
  const ext = xdr.LedgerEntryExtensionV1Ext.v0();
  return xdr.LedgerEntryExt.v1(new xdr.LedgerEntryExtensionV1({ sponsoringId: publicKey(sponsor), ext }));
}

/** The whole entry under a key (base64 LedgerKey) as base64 LedgerEntry; null when there is none. */
export function ledgerEntryXdr(view: LedgerView, key: string): string | null {
  const found = find(view, xdr.LedgerKey.fromXdr(key, 'base64'));
  if (found === undefined) return null;
  const { data, lastModified, sponsor } = found;
  return new xdr.LedgerEntry({ lastModifiedLedgerSeq: lastModified, data, ext: extensionOf(sponsor) }).toXdr('base64');
}

function keyOf(text: unknown, index: number): xdr.LedgerKey {
  try {
    return xdr.LedgerKey.fromXdr(String(text), 'base64');
  } catch {
    throw invalidParams(`cannot unmarshal key value ${String(text)} at index ${index}`);
  }
}

/** Entries that do not exist are left out; the others stand in the order they were asked for. */
export function getLedgerEntries(core: Core): Method {
  return (params) => {
    assertFormat(params);
    const keys = listParam(params, 'keys');
    if (keys.length > MAX_KEYS)
      throw invalidParams(`key count (${keys.length}) exceeds maximum supported (${MAX_KEYS})`);
    const view = core.view();
    const entries = keys.flatMap((text, index) => {
      const found = find(view, keyOf(text, index));
      if (found === undefined) return [];
      const { data, lastModified, sponsor, liveUntil } = found;
      const entry = { key: text, xdr: data.toXdr('base64'), lastModifiedLedgerSeq: lastModified };
      return [
        {
          ...entry,
          ...(liveUntil === undefined ? {} : { liveUntilLedgerSeq: liveUntil }),
          extXdr: extensionOf(sponsor).toXdr('base64'),
        },
      ];
    });
    return { entries, latestLedger: core.latest().sequence };
  };
}
