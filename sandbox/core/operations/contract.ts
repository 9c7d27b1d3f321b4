/** The one contract operation: runs the host function within the declared footprint, all or nothing. */
import { createHash } from 'node:crypto';
import type { xdr } from '@stellar/stellar-sdk/base';
import type { Declared } from '../envelope.ts';
import { balanceChanges, successImage } from '../events.ts';
import type { CoreView } from '../state.ts';
import { failure, type OpContext, type OpOutcome } from './context.ts';

type Body = Extract<xdr.OperationBody, { type: 'invokeHostFunction' }>;

/** Touching an entry outside the footprint is what the host refuses, however right the call is otherwise. */
function withinFootprint(view: CoreView, { readable, writable }: Declared): boolean {
  const { read, written } = view.touched();
  return read.every((key) => readable.has(key)) && written.every((key) => writable.has(key));
}

export function invokeHostFunction(context: OpContext, { invokeHostFunctionOp: op }: Body): OpOutcome {
  const { view, source, tx, invoke } = context;
  if (tx.declared === null) return failure('op_malformed');
  const frame = view.isolate();
  const outcome = invoke(frame, { hostFunction: op.hostFunction, source, mode: 'enforce', auth: op.auth });
  const { restored } = tx.declared;
  if (!frame.touched().archived.every((key) => restored.has(key))) return failure('entry_archived');
  if (!outcome.ok) return { name: 'function_trapped', diagnostics: outcome.events };
  if (!withinFootprint(frame, tx.declared)) return { name: 'function_trapped', diagnostics: outcome.events };
  frame.commit();
  const image = successImage(outcome.result, outcome.events);
  return {
    name: 'op_success',
    payload: createHash('sha256').update(image).digest(),
    changes: balanceChanges(view, outcome.events),
    image,
    returnValue: outcome.result.toXdr('base64'),
  };
}
