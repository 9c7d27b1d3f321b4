/** `simulateTransaction`: what a contract call would do, and what its transaction has to declare. */
import { Address, scValToNative, type xdr } from '@stellar/stellar-sdk/base';
import { networkId, readEnvelope, type Tx } from '../core/envelope.ts';
import type { Core, InvokeFailure, LedgerView } from '../core/types.ts';
import { type Simulation, simulateCall } from '../contracts/simulate.ts';
import { ledgerEntryXdr } from './entries.ts';
import { assertFormat, type Method, type Params, textParam } from './jsonrpc.ts';

/** Text of a refusal made before the ledger was looked at. */
interface Refused {
  readonly error: string;
}

type CallBody = Extract<xdr.OperationBody, { type: 'invokeHostFunction' }>;

function callOf(tx: Tx): CallBody['value'] | Refused {
  const [operation] = tx.operations;
  if (operation === undefined || tx.operations.length !== 1)
    return { error: 'Transaction contains more than one operation' };
  if (tx.body.memo.type !== 'memoNone') {
    return { error: 'Transaction contains a memo. Soroban transactions do not support memos.' };
  }
  const { body } = operation.op;
  if (body.type !== 'invokeHostFunction')
    return { error: `Transaction contains unsupported operation type: ${body.type}` };
  return body.value;
}

type Mode = { readonly mode: 'record' | 'enforce' } | Refused;

/** Recording would overwrite what the caller brought, so it is refused then. */
function modeOf(params: Params, hasAuth: boolean): Mode {
  switch (textParam(params, 'authMode') ?? '') {
    case '':
      return { mode: hasAuth ? 'enforce' : 'record' };
    case 'enforce':
      return { mode: 'enforce' };
    case 'record':
    case 'record_allow_nonroot':
      if (hasAuth) return { error: 'Transaction contains auth entries: cannot be simulated in recording mode' };
      return { mode: 'record' };
    default:
      return { error: 'unsupported authMode' };
  }
}

const show = (value: xdr.ScVal): string => {
  if (value.type === 'scvSymbol') return String(scValToNative(value));
  if (value.type === 'scvAddress') return Address.fromScAddress(value.address).toString();
  if (value.type === 'scvError') {
    const { error } = value;
    return error.type === 'sceContract'
      ? `Error(Contract, #${error.contractCode})`
      : `Error(${error.type.slice(3)}, ${error.value.name.slice(4)})`;
  }
  return JSON.stringify(scValToNative(value), (_, item: unknown) =>
    typeof item === 'bigint' ? item.toString() : item,
  );
};

/** The host's text: the error on the first line, then its log from the newest event on. */
function failureText(failure: InvokeFailure): string {
  const log = [...(failure.diagnostics ?? [])].reverse().map(({ event }, index) => {
    const { topics, data } = event.body.value;
    const contract =
      event.contractId === null ? '' : `contract:${Address.contract(event.contractId.value).toString()}, `;
    const kind = event.type.name === 'contract' ? 'Contract' : 'Diagnostic';
    return `   ${index}: [${kind} Event] ${contract}topics:[${topics.map(show).join(', ')}], data:${show(data)}`;
  });
  return `HostError: ${failure.raw}\n\nEvent log (newest first):\n${log.join('\n')}\n`;
}

const encoded = (events: readonly xdr.DiagnosticEvent[] | undefined) => {
  const list = (events ?? []).map((event) => event.toXdr('base64'));
  return list.length === 0 ? {} : { events: list };
};

/** Entries before and after, for every key the call wrote. */
function stateChanges(before: LedgerView, after: LedgerView): object {
  const changes = after.touched().written.flatMap((key) => {
    const old = ledgerEntryXdr(before, key);
    const now = ledgerEntryXdr(after, key);
    if (old === null && now === null) return [];
    return [{ type: old === null ? 'created' : now === null ? 'deleted' : 'updated', key, before: old, after: now }];
  });
  return changes.length === 0 ? {} : { stateChanges: changes };
}

function success(simulation: Simulation, changes: object, latestLedger: number): object {
  return {
    transactionData: simulation.data.toXdr('base64'),
    minResourceFee: simulation.resourceFee.toString(),
    ...encoded(simulation.diagnostics),
    results: [{ auth: simulation.auth.map((entry) => entry.toXdr('base64')), xdr: simulation.result.toXdr('base64') }],
    ...changes,
    latestLedger,
  };
}

/** A call that fails is no JSON-RPC error: its text is in `error`. Sequence, signatures and bounds are not looked at. */
export function simulateTransaction(core: Core): Method {
  const network = networkId(core.networkPassphrase);
  return (params) => {
    assertFormat(params);
    let tx: Tx;
    try {
      tx = readEnvelope(textParam(params, 'transaction') ?? '', network);
    } catch {
      return { error: 'Could not unmarshal transaction', latestLedger: 0 };
    }
    const call = callOf(tx);
    if ('error' in call) return { ...call, latestLedger: 0 };
    const mode = modeOf(params, call.auth.length > 0);
    if ('error' in mode) return { ...mode, latestLedger: 0 };
    const source = tx.operations[0]?.source ?? tx.source;
    const credentials = params['useUpgradedAuth'] === true ? 'addressV2' : 'address';
    const view = core.view();
    const simulation = simulateCall(
      view,
      { hostFunction: call.hostFunction, auth: call.auth, source },
      mode.mode,
      credentials,
    );
    const latestLedger = core.latest().sequence;
    if (simulation.ok) return success(simulation, stateChanges(core.view(), view), latestLedger);
    return { error: failureText(simulation), ...encoded(simulation.diagnostics), latestLedger };
  };
}
