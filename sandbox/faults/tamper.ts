/**
 * What a provider that is broken, or that is not who it says, might hand out to be signed. Every forgery is complete:
 * where the network would carry it out, it is simulated anew, so that only looking at it before signing helps.
 */
import { createHash } from 'node:crypto';
import {
  Address,
  nativeToScVal,
  Operation,
  StrKey,
  TransactionBuilder,
  Transaction,
  xdr,
} from '@stellar/stellar-sdk/base';
import { assemble } from '../contracts/index.ts';
import type { SandboxCore } from '../core/core.ts';
import { derivedKey } from '../core/genesis.ts';
import { sdkAsset } from '../core/keys.ts';
import type { AssetId } from '../core/types.ts';
import type { FaultName } from './registry.ts';

export type Forgery = Extract<FaultName, `xdr_wrong_${string}` | 'xdr_extra_operation' | 'xdr_foreign_auth'>;

/** Returns the forged envelope (base64), or undefined when there is nothing in it to forge. */
export type Tamper = (how: Forgery, envelopeXdr: string) => string | undefined;

/** One USDC or XLM, in whatever it is paid. */
const LOOT = 10_000_000n;

type Change = (value: xdr.ScVal) => xdr.ScVal;

/** Applies `change` to every value within a value, innermost first. */
function deep(value: xdr.ScVal, change: Change): xdr.ScVal {
  if (value.type === 'scvVec') {
    return change(xdr.ScVal.scvVec((value.vec ?? []).map((item) => deep(item, change))));
  }
  if (value.type === 'scvMap') {
    const entries = (value.map ?? []).map(
      ({ key, val }) => new xdr.ScMapEntry({ key: deep(key, change), val: deep(val, change) }),
    );
    return change(xdr.ScVal.scvMap(entries));
  }
  return change(value);
}

const doubled: Change = (value) => {
  if (value.type !== 'scvI128') return value;
  const { hi, lo } = value.i128;
  return nativeToScVal(2n * ((hi << 64n) + lo), { type: 'i128' });
};

const isName = (value: xdr.ScVal, name: string): boolean => value.type === 'scvSymbol' && value.sym.toString() === name;

/** Puts a stranger where a receiver is named: in an escrow's terms, and in shares by address. */
function redirected(stranger: string): Change {
  const to = new Address(stranger).toScVal();
  return (value) => {
    if (value.type !== 'scvMap') return value;
    const entries = (value.map ?? []).map(({ key, val }) => {
      if (isName(key, 'receiver')) return new xdr.ScMapEntry({ key, val: to });
      return key.type === 'scvAddress' && val.type === 'scvI128' ? new xdr.ScMapEntry({ key: to, val }) : { key, val };
    });
    return xdr.ScVal.scvMap(entries.map(({ key, val }) => new xdr.ScMapEntry({ key, val })));
  };
}

interface Call {
  readonly transaction: Transaction;
  readonly source: string;
  readonly args: xdr.InvokeContractArgs;
  readonly auth: readonly xdr.SorobanAuthorizationEntry[];
}

function callOf(envelopeXdr: string, passphrase: string): Call | undefined {
  const transaction = TransactionBuilder.fromXdr(envelopeXdr, passphrase);
  if (!(transaction instanceof Transaction)) return undefined;
  const [operation] = transaction.operations;
  if (operation?.type !== 'invokeHostFunction' || operation.func.type !== 'hostFunctionTypeInvokeContract') {
    return undefined;
  }
  const source = operation.source ?? transaction.source;
  return { transaction, source, args: operation.func.value, auth: operation.auth ?? [] };
}

function invocation(args: xdr.InvokeContractArgs, auth: readonly xdr.SorobanAuthorizationEntry[]): xdr.Operation {
  const func = xdr.HostFunction.hostFunctionTypeInvokeContract(args);
  return Operation.invokeHostFunction({ func, auth: [...auth] });
}

const sameArgs = (a: xdr.InvokeContractArgs, b: xdr.InvokeContractArgs): boolean =>
  a.toXdr('base64') === b.toXdr('base64');

export function createTamper(network: { core: SandboxCore; seed: string; usdc: AssetId }): Tamper {
  const { core, seed, usdc } = network;
  const passphrase = core.networkPassphrase;
  const stranger = derivedKey(seed, 'stranger').publicKey();
  const otherContract = StrKey.encodeContract(createHash('sha256').update(`${seed}/other-contract`).digest());
  const token = sdkAsset(usdc).contractId(passphrase);

  const withOperations = (transaction: Transaction, ...operations: xdr.Operation[]): Transaction => {
    const builder = TransactionBuilder.cloneFrom(transaction).clearOperations();
    for (const operation of operations) builder.addOperation(operation);
    return builder.build();
  };
  /** Another call in the same envelope: declared and authorised as the network wants it, if it would work there. */
  const calling = (
    { transaction, auth: honest }: Call,
    args: xdr.InvokeContractArgs,
    auth: readonly xdr.SorobanAuthorizationEntry[] = [],
  ): Transaction => {
    const assembled = assemble(core.view(), withOperations(transaction, invocation(args, auth)));
    return assembled.ok ? assembled.transaction : withOperations(transaction, invocation(args, honest));
  };
  const withArgs = (call: Call, change: Change): Transaction | undefined => {
    const { contractAddress, functionName } = call.args;
    const args = call.args.args.map(change);
    const forged = new xdr.InvokeContractArgs({ contractAddress, functionName, args });
    return sameArgs(forged, call.args) ? undefined : calling(call, forged);
  };
  const loot = (source: string): xdr.SorobanAuthorizationEntry =>
    new xdr.SorobanAuthorizationEntry({
      credentials: xdr.SorobanCredentials.sorobanCredentialsSourceAccount(),
      rootInvocation: new xdr.SorobanAuthorizedInvocation({
        function: xdr.SorobanAuthorizedFunction.sorobanAuthorizedFunctionTypeContractFn(
          new xdr.InvokeContractArgs({
            contractAddress: new Address(token).toScAddress(),
            functionName: 'transfer',
            args: [
              new Address(source).toScVal(),
              new Address(stranger).toScVal(),
              nativeToScVal(LOOT, { type: 'i128' }),
            ],
          }),
        ),
        subInvocations: [],
      }),
    });

  const forge: Record<Forgery, (call: Call) => Transaction | undefined> = {
    xdr_wrong_amount: (call) => {
      // A call that states its amount may repeat the escrow's terms beside it, and those must stay true.
      const stated = call.args.args.some(({ type }) => type === 'scvI128');
      return withArgs(call, stated ? doubled : (value) => deep(value, doubled));
    },
    xdr_wrong_destination: (call) => withArgs(call, (value) => deep(value, redirected(stranger))),
    xdr_wrong_contract: (call) => {
      const { functionName, args } = call.args;
      const contractAddress = new Address(otherContract).toScAddress();
      return calling(call, new xdr.InvokeContractArgs({ contractAddress, functionName, args }));
    },
    xdr_extra_operation: ({ transaction, args, auth }) => {
      const pay = Operation.payment({ destination: stranger, asset: sdkAsset(usdc), amount: '1' });
      return withOperations(transaction, invocation(args, auth), pay);
    },
    xdr_foreign_auth: (call) => calling(call, call.args, [...call.auth, loot(call.source)]),
  };
  return (how, envelopeXdr) => {
    const call = callOf(envelopeXdr, passphrase);
    return call === undefined ? undefined : forge[how](call)?.toXdr();
  };
}
