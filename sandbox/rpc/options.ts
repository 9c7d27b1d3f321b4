/** What of a provider's settings this RPC has; changed while it runs over `POST /control/rpc`. */
import type { EmittedEvent, OperationRecord } from '../core/types.ts';

export interface RpcOptions {
  /** movements of classic operations as events (CAP-67): a provider's core must be told to, and most are not */
  classicEvents: boolean;
  /** fees and refunds as events, which come with the former on a real core */
  feeEvents: boolean;
}

export const DEFAULT_RPC_OPTIONS: RpcOptions = { classicEvents: true, feeEvents: false };

/** The events of an operation that this provider knows. */
export function knownEvents(operation: OperationRecord, { classicEvents }: RpcOptions): EmittedEvent[] {
  return operation.type === 'invokeHostFunction' || classicEvents ? operation.events : [];
}
