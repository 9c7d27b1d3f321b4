/** Simulation of one contract call: what it would do, and what a transaction must declare to do it. */
import { Operation, type Transaction, TransactionBuilder, xdr } from '@stellar/stellar-sdk/base';
import { minimumResourceFee } from '../core/fees.ts';
import type { InvokeFailure, InvokeSuccess, LedgerView } from '../core/types.ts';
import { invokeHostFunction } from './host.ts';

/** Bytes that a signature adds to an authorisation entry which is recorded unsigned. */
const SIGNATURE_BYTES = 256;
/** Magnitudes of a real call; nothing in the sandbox is metered. */
const INSTRUCTIONS = 3_000_000;
const BYTES_PER_ENTRY = 500;

export interface Simulation extends InvokeSuccess {
  /** footprint, resources and resource fee to put into the transaction */
  readonly data: xdr.SorobanTransactionData;
  /** stroops; equal to `data.resourceFee` */
  readonly resourceFee: bigint;
}

/** The host function of a transaction that consists of one contract call. */
export interface ContractCall {
  readonly hostFunction: xdr.HostFunction;
  /** account whose envelope signature counts as its consent */
  readonly source: string;
  readonly auth: readonly xdr.SorobanAuthorizationEntry[];
}

/** Splits the entries a run touched into those it only read and those it wrote; code is always only read. */
function footprintOf(view: LedgerView, code: readonly string[]) {
  const { read, written, archived } = view.touched();
  const readWrite = new Set(written);
  const codeKeys = code.map((hash) =>
    xdr.LedgerKey.contractCode(new xdr.LedgerKeyContractCode({ hash })).toXdr('base64'),
  );
  const readOnly = [...new Set([...read, ...codeKeys])].filter((key) => !readWrite.has(key));
  const decode = (keys: readonly string[]) => keys.map((key) => xdr.LedgerKey.fromXdr(key, 'base64'));
  const sorted = [...readWrite].sort();
  const footprint = new xdr.LedgerFootprint({ readOnly: decode(readOnly.sort()), readWrite: decode(sorted) });
  const restored = archived.map((key) => sorted.indexOf(key)).sort((a, b) => a - b);
  return { footprint, restored };
}

/** Names the archived entries that the call restores, by their place among the writable ones. */
function restoring(archivedSorobanEntries: number[]): xdr.SorobanTransactionDataExt {
  if (archivedSorobanEntries.length === 0) return xdr.SorobanTransactionDataExt.v0();
  return xdr.SorobanTransactionDataExt.resourceExt(new xdr.SorobanResourcesExtV0({ archivedSorobanEntries }));
}

function sizeOf(hostFunction: xdr.HostFunction, auth: readonly xdr.SorobanAuthorizationEntry[]): number {
  const body = xdr.OperationBody.invokeHostFunction(new xdr.InvokeHostFunctionOp({ hostFunction, auth: [...auth] }));
  const unsigned = auth.filter(({ credentials }) => credentials.type !== 'sorobanCredentialsSourceAccount');
  return body.toXdr().length + unsigned.length * SIGNATURE_BYTES;
}

/**
 * Executes a call on a throw-away view (`core.view()`, fresh: its footprint becomes the transaction's).
 * @param mode `record` finds out what must be authorised, `enforce` checks the entries that the call carries
 */
export function simulateCall(
  view: LedgerView,
  call: ContractCall,
  mode: 'record' | 'enforce' = call.auth.length > 0 ? 'enforce' : 'record',
  credentials: 'address' | 'addressV2' = 'addressV2',
): Simulation | InvokeFailure {
  const outcome = invokeHostFunction(view, { ...call, mode, credentials });
  if (!outcome.ok) return outcome;
  const { footprint, restored } = footprintOf(view, outcome.code ?? []);
  const readOnly = footprint.readOnly.length;
  const readWrite = footprint.readWrite.length;
  const resourceFee = minimumResourceFee({ readOnly, readWrite, bytes: sizeOf(call.hostFunction, outcome.auth) });
  const data = new xdr.SorobanTransactionData({
    ext: restoring(restored),
    resources: new xdr.SorobanResources({
      footprint,
      instructions: INSTRUCTIONS,
      diskReadBytes: BYTES_PER_ENTRY * (readOnly + readWrite),
      writeBytes: BYTES_PER_ENTRY * readWrite,
    }),
    resourceFee,
  });
  return { ...outcome, data, resourceFee };
}

/**
 * Completes an unsigned transaction of one contract call: footprint, authorisation, and the resource fee on top of the
 * inclusion fee it offers. Sequence, bounds and source stay as they are.
 * @throws TypeError when the transaction is anything else than one contract call
 */
export function assemble(
  view: LedgerView,
  transaction: Transaction,
): { readonly ok: true; readonly transaction: Transaction } | InvokeFailure {
  const [operation] = transaction.operations;
  if (operation?.type !== 'invokeHostFunction' || transaction.operations.length !== 1) {
    throw new TypeError('not a transaction of one contract call');
  }
  const auth = operation.auth ?? [];
  const source = operation.source ?? transaction.source;
  const simulation = simulateCall(view, { hostFunction: operation.func, source, auth });
  if (!simulation.ok) return simulation;
  const completed = TransactionBuilder.cloneFrom(transaction, { sorobanData: simulation.data.toXdr('base64') })
    .clearOperations()
    .addOperation(
      Operation.invokeHostFunction({
        func: operation.func,
        auth: simulation.auth,
        ...(operation.source === undefined ? {} : { source: operation.source }),
      }),
    )
    .build();
  return { ok: true, transaction: completed };
}
