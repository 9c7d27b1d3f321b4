/** The one contract operation: runs the host function within the declared footprint, all or nothing. */
import { createHash } from 'node:crypto';
import { xdr } from '@stellar/stellar-sdk/base';
import { balanceChanges, contractEvent } from '../events.ts';
import type { CoreView } from '../state.ts';
import type { InvokeSuccess } from '../types.ts';
import { failure, type OpContext, type OpOutcome } from './context.ts';

type Body = Extract<xdr.OperationBody, { type: 'invokeHostFunction' }>;

/** What the result XDR states of a successful call: a hash of its return value and events. */
function successHash(outcome: InvokeSuccess): Buffer {
  const image = new xdr.InvokeHostFunctionSuccessPreImage({
    returnValue: outcome.result,
    events: outcome.events.map(contractEvent),
  });
  return createHash('sha256').update(image.toXdr()).digest();
}

/** Touching an entry outside the footprint is what the host refuses, however right the call is otherwise. */
function withinFootprint(view: CoreView, soroban: xdr.SorobanTransactionData): boolean {
  const { readOnly, readWrite } = soroban.resources.footprint;
  const writable = new Set(readWrite.map((key) => key.toXdr('base64')));
  const readable = new Set([...writable, ...readOnly.map((key) => key.toXdr('base64'))]);
  const { read, written } = view.touched();
  return read.every((key) => readable.has(key)) && written.every((key) => writable.has(key));
}

export function invokeHostFunction(context: OpContext, { invokeHostFunctionOp: op }: Body): OpOutcome {
  const { view, source, tx, invoke } = context;
  if (tx.soroban === null) return failure('op_malformed');
  const frame = view.isolate();
  const outcome = invoke(frame, { hostFunction: op.hostFunction, source, mode: 'enforce', auth: op.auth });
  if (!outcome.ok) return { name: 'function_trapped', diagnostics: outcome.events };
  if (!withinFootprint(frame, tx.soroban)) return { name: 'function_trapped', diagnostics: outcome.events };
  frame.commit();
  return {
    name: 'op_success',
    payload: successHash(outcome),
    changes: balanceChanges(view, outcome.events),
    events: outcome.events,
    returnValue: outcome.result.toXdr('base64'),
  };
}
