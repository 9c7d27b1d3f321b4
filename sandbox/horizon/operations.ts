/** Operations and payments as Horizon writes them. */
import { Address, StrKey, xdr } from '@stellar/stellar-sdk/base';
import { formatFixed } from '../../domain/money.ts';
import type { OperationEntry } from '../core/history.ts';
import { isoTime } from '../core/http.ts';
import { accountId, assetId, creditOf } from '../core/keys.ts';
import { OP_TYPE_NUMBERS, type OpType } from '../core/results.ts';
import type { BalanceChange } from '../core/types.ts';
import { assetFields } from './assets.ts';
import { sponsorOf } from './effects-sponsorship.ts';
import { muxedFields, transactionResource } from './transactions.ts';

type Fields = Record<string, unknown>;

function changeFields({ asset, type, from, to, amount, toMuxedId }: BalanceChange): Fields {
  return {
    ...assetFields(asset),
    type,
    ...(from === null ? {} : { from }),
    ...(to === null ? {} : { to }),
    amount: formatFixed(amount),
    ...(toMuxedId === undefined ? {} : { destination_muxed_id: String(toMuxedId) }),
  };
}

interface Subject {
  readonly entry: OperationEntry;
  readonly source: string;
  /** the operation's own source, or the transaction's */
  readonly from: xdr.MuxedAccount;
}

function moneyFields(subject: Subject, to: xdr.MuxedAccount, asset: xdr.Asset, amount: bigint): Fields {
  return {
    ...assetFields(assetId(asset) ?? 'native'),
    from: subject.source,
    ...muxedFields('from', subject.from),
    to: accountId(to),
    ...muxedFields('to', to),
    amount: formatFixed(amount),
  };
}

const SCVAL_NAMES: Record<string, string> = {
  scvAddress: 'Address',
  scvSymbol: 'Sym',
  scvString: 'String',
  scvI128: 'I128',
  scvU128: 'U128',
  scvI64: 'I64',
  scvU64: 'U64',
  scvI32: 'I32',
  scvU32: 'U32',
  scvBool: 'B',
  scvBytes: 'Bytes',
  scvMap: 'Map',
  scvVec: 'Vec',
  scvVoid: 'Void',
};

function parameter(value: xdr.ScVal): Fields {
  return { value: value.toXdr('base64'), type: SCVAL_NAMES[value.type] ?? value.type };
}

const FUNCTION_NAMES: Record<string, string> = {
  hostFunctionTypeInvokeContract: 'HostFunctionTypeHostFunctionTypeInvokeContract',
  hostFunctionTypeCreateContract: 'HostFunctionTypeHostFunctionTypeCreateContract',
  hostFunctionTypeCreateContractV2: 'HostFunctionTypeHostFunctionTypeCreateContractV2',
  hostFunctionTypeUploadContractWasm: 'HostFunctionTypeHostFunctionTypeUploadContractWasm',
};

function invokeFields(entry: OperationEntry, host: xdr.HostFunction): Fields {
  const call = host.type === 'hostFunctionTypeInvokeContract' ? host.invokeContract : undefined;
  const parameters =
    call === undefined
      ? []
      : [xdr.ScVal.scvAddress(call.contractAddress), xdr.ScVal.scvSymbol(call.functionName), ...call.args].map(
          parameter,
        );
  const { changes } = entry.operation;
  return {
    function: FUNCTION_NAMES[host.type] ?? host.type,
    parameters,
    address: call === undefined ? '' : Address.fromScAddress(call.contractAddress).toString(),
    salt: '',
    asset_balance_changes: changes.length === 0 ? null : changes.map(changeFields),
  };
}

const TRUSTLINE_FLAGS = [
  [1, 'authorized'],
  [2, 'authorized_to_maintain_liabilites'],
  [4, 'clawback_enabled'],
] as const;
const ACCOUNT_FLAGS = [
  [1, 'auth_required'],
  [2, 'auth_revocable'],
  [4, 'auth_immutable'],
  [8, 'auth_clawback_enabled'],
] as const;

function flagFields(name: string, value: number, flags: readonly (readonly [number, string])[]): Fields {
  const set = flags.filter(([bit]) => (value & bit) !== 0);
  return set.length === 0 ? {} : { [name]: set.map(([bit]) => bit), [`${name}_s`]: set.map(([, text]) => text) };
}

function optionFields(op: xdr.SetOptionsOp): Fields {
  const optional = {
    home_domain: op.homeDomain === null ? null : Buffer.from(op.homeDomain.bytes).toString('latin1'),
    inflation_dest: op.inflationDest === null ? null : accountId(op.inflationDest),
    master_key_weight: op.masterWeight,
    low_threshold: op.lowThreshold,
    med_threshold: op.medThreshold,
    high_threshold: op.highThreshold,
    signer_key:
      op.signer?.key.type === 'signerKeyTypeEd25519'
        ? StrKey.encodeEd25519PublicKey(op.signer.key.ed25519.value)
        : null,
    signer_weight: op.signer?.weight ?? null,
  };
  return {
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== null)),
    ...flagFields('set_flags', op.setFlags ?? 0, ACCOUNT_FLAGS),
    ...flagFields('clear_flags', op.clearFlags ?? 0, ACCOUNT_FLAGS),
  };
}

/** Who opened the sandwich that this `end` closes. */
function beginSponsor({ transaction, operation }: OperationEntry): string | undefined {
  for (const before of transaction.operations.slice(0, operation.index - 1).toReversed()) {
    const { body } = xdr.Operation.fromXdr(before.xdr, 'base64');
    if (body.type !== 'beginSponsoringFutureReserves') continue;
    if (accountId(body.beginSponsoringFutureReservesOp.sponsoredId) === operation.source) return before.source;
  }
  return undefined;
}

function pathFields(path: readonly xdr.Asset[]): Fields {
  return { path: path.map((asset) => assetFields(assetId(asset) ?? 'native')) };
}

function accountFields(subject: Subject, body: xdr.OperationBody): Fields | undefined {
  const { entry, source, from } = subject;
  switch (body.type) {
    case 'createAccount': {
      const { destination, startingBalance } = body.createAccountOp;
      const funder = { funder: source, ...muxedFields('funder', from) };
      return { starting_balance: formatFixed(startingBalance), ...funder, account: accountId(destination) };
    }
    case 'accountMerge': {
      const into = { into: accountId(body.destination), ...muxedFields('into', body.destination) };
      return { account: source, ...muxedFields('account', from), ...into };
    }
    case 'setOptions':
      return optionFields(body.setOptionsOp);
    case 'manageData': {
      const { dataName, dataValue } = body.manageDataOp;
      const value = dataValue === null ? '' : Buffer.from(dataValue.value).toString('base64');
      return { name: Buffer.from(dataName.bytes).toString('utf8'), value };
    }
    case 'bumpSequence':
      return { bump_to: String(body.bumpSequenceOp.bumpTo) };
    case 'beginSponsoringFutureReserves':
      return { sponsored_id: accountId(body.beginSponsoringFutureReservesOp.sponsoredId) };
    case 'endSponsoringFutureReserves':
      return { begin_sponsor: beginSponsor(entry) };
    default:
      return undefined;
  }
}

function assetOperationFields(subject: Subject, body: xdr.OperationBody): Fields {
  const { entry, source } = subject;
  switch (body.type) {
    case 'payment':
      return moneyFields(subject, body.paymentOp.destination, body.paymentOp.asset, body.paymentOp.amount);
    case 'pathPaymentStrictReceive': {
      const op = body.pathPaymentStrictReceiveOp;
      const sent = { source_amount: formatFixed(op.destAmount), source_max: formatFixed(op.sendMax) };
      const money = moneyFields(subject, op.destination, op.destAsset, op.destAmount);
      return {
        ...money,
        ...pathFields(op.path),
        ...sent,
        ...assetFields(assetId(op.sendAsset) ?? 'native', 'source_'),
      };
    }
    case 'pathPaymentStrictSend': {
      const op = body.pathPaymentStrictSendOp;
      const sent = { source_amount: formatFixed(op.sendAmount), destination_min: formatFixed(op.destMin) };
      const money = moneyFields(subject, op.destination, op.destAsset, op.sendAmount);
      return {
        ...money,
        ...pathFields(op.path),
        ...sent,
        ...assetFields(assetId(op.sendAsset) ?? 'native', 'source_'),
      };
    }
    case 'changeTrust': {
      const asset = assetId(body.changeTrustOp.line) ?? 'native';
      const line = { limit: formatFixed(body.changeTrustOp.limit), trustee: creditOf(asset)?.issuer, trustor: source };
      return { ...assetFields(asset), ...line };
    }
    case 'setTrustLineFlags': {
      const op = body.setTrustLineFlagsOp;
      const flags = {
        ...flagFields('set_flags', op.setFlags, TRUSTLINE_FLAGS),
        ...flagFields('clear_flags', op.clearFlags, TRUSTLINE_FLAGS),
      };
      return { ...assetFields(assetId(op.asset) ?? 'native'), trustor: accountId(op.trustor), ...flags };
    }
    case 'clawback': {
      const { asset, from, amount } = body.clawbackOp;
      return {
        ...assetFields(assetId(asset) ?? 'native'),
        from: accountId(from),
        ...muxedFields('from', from),
        amount: formatFixed(amount),
      };
    }
    case 'invokeHostFunction':
      return invokeFields(entry, body.invokeHostFunctionOp.hostFunction);
    default:
      return {};
  }
}

/** `createAccount` → `create_account`. */
const snake = (type: string): string => type.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function typeName(type: string): string {
  return type === 'setTrustLineFlags' ? 'set_trust_line_flags' : snake(type);
}

/** @param base where this Horizon is reached, without a slash at the end; `join` adds the whole transaction */
export function operationResource(entry: OperationEntry, base: string, join: boolean): Fields {
  const { operation, transaction, id } = entry;
  const op = xdr.Operation.fromXdr(operation.xdr, 'base64');
  const source = op.sourceAccount;
  const from = source ?? xdr.MuxedAccount.keyTypeEd25519(StrKey.decodeEd25519PublicKey(operation.source));
  const subject = { entry, source: operation.source, from };
  const self = `${base}/operations/${id}`;
  return {
    _links: {
      self: { href: self },
      transaction: { href: `${base}/transactions/${transaction.hash}` },
      effects: { href: `${self}/effects` },
      succeeds: { href: `${base}/effects?order=desc&cursor=${id}` },
      precedes: { href: `${base}/effects?order=asc&cursor=${id}` },
    },
    id: String(id),
    paging_token: String(id),
    transaction_successful: transaction.successful,
    source_account: operation.source,
    ...(source === null ? {} : muxedFields('source_account', source)),
    type: typeName(operation.type),
    type_i: OP_TYPE_NUMBERS[operation.type as OpType],
    created_at: isoTime(transaction.closedAt),
    transaction_hash: transaction.hash,
    ...(join ? { transaction: transactionResource(transaction, base) } : {}),
    ...sponsorOf(operation.entries),
    ...(accountFields(subject, op.body) ?? assetOperationFields(subject, op.body)),
  };
}
