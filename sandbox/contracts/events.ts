/** Events in their XDR forms: contract events as they go on the ledger, and the host's own log around them. */
import { StrKey, xdr } from '@stellar/stellar-sdk/base';
import type { EmittedEvent } from '../core/types.ts';
import type { Failure, HostError } from './errors.ts';
import { symbol } from './scval.ts';

const contractEvent = (
  type: xdr.ContractEventType,
  contract: string | null,
  topics: xdr.ScVal[],
  data: xdr.ScVal,
): xdr.ContractEvent =>
  new xdr.ContractEvent({
    ext: xdr.ExtensionPoint.v0(),
    contractId: contract === null ? null : new xdr.ContractId(StrKey.decodeContract(contract)),
    type,
    body: xdr.ContractEventBody.v0(new xdr.ContractEventV0({ topics, data })),
  });

/** An emitted event as ContractEvent XDR. */
export const eventXdr = ({ contract, topics, data }: EmittedEvent): xdr.ContractEvent =>
  contractEvent(xdr.ContractEventType.contract, contract, topics, data);

const SYSTEM_ERRORS = {
  WasmVm: xdr.ScError.sceWasmVm,
  Context: xdr.ScError.sceContext,
  Storage: xdr.ScError.sceStorage,
  Object: xdr.ScError.sceObject,
  Value: xdr.ScError.sceValue,
  Auth: xdr.ScError.sceAuth,
  Budget: xdr.ScError.sceBudget,
} as const;

function errorValue(failure: Failure): xdr.ScVal {
  if (failure.type === 'Contract') return xdr.ScVal.scvError(xdr.ScError.sceContract(failure.code));
  return xdr.ScVal.scvError(SYSTEM_ERRORS[failure.type](xdr.ScErrorCode.fromName(`scec${failure.code}`)));
}

/** One value stands for itself, several become a vec, none is void. */
const callData = (args: readonly xdr.ScVal[]): xdr.ScVal => {
  const [only] = args;
  if (only === undefined) return xdr.ScVal.scvVoid();
  return args.length === 1 ? only : xdr.ScVal.scvVec([...args]);
};

/** The host's log of one transaction. */
export interface HostLog {
  call(caller: string | null, contract: string, fn: string, args: readonly xdr.ScVal[]): void;
  returned(contract: string, fn: string, value: xdr.ScVal): void;
  event(event: EmittedEvent): void;
  failed(error: HostError): void;
  entries(successful: boolean): xdr.DiagnosticEvent[];
  /** The log without the outermost call, which has no contract: what a failed transaction leaves to look at. */
  emitted(): EmittedEvent[];
}

export function createHostLog(): HostLog {
  const events: {
    readonly type: xdr.ContractEventType;
    contract: string | null;
    topics: xdr.ScVal[];
    data: xdr.ScVal;
  }[] = [];
  const log = (contract: string | null, topics: xdr.ScVal[], data: xdr.ScVal) =>
    events.push({ type: xdr.ContractEventType.diagnostic, contract, topics, data });
  const { scvBytes, scvString } = xdr.ScVal;
  return {
    call(caller, contract, fn, args) {
      log(
        caller,
        [symbol.encode('fn_call'), scvBytes(StrKey.decodeContract(contract)), symbol.encode(fn)],
        callData(args),
      );
    },
    returned(contract, fn, value) {
      log(contract, [symbol.encode('fn_return'), symbol.encode(fn)], value);
    },
    event(event) {
      events.push({ type: xdr.ContractEventType.contract, ...event });
    },
    failed(error) {
      const reason =
        error.failure.type === 'Contract'
          ? 'escalating Ok(ScErrorType::Contract) frame-exit to Err'
          : 'escalating error to VM trap from failed host function call';
      log(error.contract, [symbol.encode('error'), errorValue(error.failure)], scvString(reason));
    },
    entries: (successful) =>
      events.map(({ type, contract, topics, data }) => {
        const event = contractEvent(type, contract, topics, data);
        return new xdr.DiagnosticEvent({ inSuccessfulContractCall: successful, event });
      }),
    emitted: () =>
      events.flatMap(({ contract, topics, data }) => (contract === null ? [] : [{ contract, topics, data }])),
  };
}

const LOGGED = new Set(['fn_call', 'fn_return', 'error']);

/** An event of a failed transaction as it is shown with it. */
export function diagnosticXdr(event: EmittedEvent): xdr.DiagnosticEvent {
  const [topic] = event.topics;
  const logged = topic?.type === 'scvSymbol' && LOGGED.has(symbol.decode(topic));
  const type = logged ? xdr.ContractEventType.diagnostic : xdr.ContractEventType.contract;
  return new xdr.DiagnosticEvent({
    inSuccessfulContractCall: false,
    event: contractEvent(type, event.contract, event.topics, event.data),
  });
}
