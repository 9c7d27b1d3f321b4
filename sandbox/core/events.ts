/**
 * Events and the movements behind them: classic movements as the asset contract's events (CAP-67), and contract events
 * back as genuine movements.
 */
import { Address, nativeToScVal, StrKey, scValToNative, xdr } from '@stellar/stellar-sdk/base';
import { creditOf, sdkAsset } from './keys.ts';
import type { BalanceChange, EmittedEvent, LedgerView } from './types.ts';

/** ContractEvent XDR of an emitted event. */
export function contractEvent(event: EmittedEvent): xdr.ContractEvent {
  return new xdr.ContractEvent({
    ext: xdr.ExtensionPoint.v0(),
    contractId: new xdr.ContractId(StrKey.decodeContract(event.contract)),
    type: xdr.ContractEventType.contract,
    body: xdr.ContractEventBody.v0(new xdr.ContractEventV0({ topics: event.topics, data: event.data })),
  });
}

/**
 * A successful call's return value and events in XDR (InvokeHostFunctionSuccessPreImage): its hash is what the result
 * states, and the events are read back from it.
 */
export function successImage(returnValue: xdr.ScVal, events: readonly EmittedEvent[]): Uint8Array {
  return new xdr.InvokeHostFunctionSuccessPreImage({ returnValue, events: events.map(contractEvent) }).toXdr();
}

export function emittedEvents(image: Uint8Array): EmittedEvent[] {
  const { events } = xdr.InvokeHostFunctionSuccessPreImage.fromXdr(image);
  return events.map(({ contractId, body }) => ({
    contract: StrKey.encodeContract(contractId?.value ?? new Uint8Array(32)),
    topics: body.v0.topics,
    data: body.v0.data,
  }));
}

function eventData(change: BalanceChange): xdr.ScVal {
  const amount = nativeToScVal(change.amount, { type: 'i128' });
  if (change.toMuxedId === undefined) return amount;
  const entry = (key: string, val: xdr.ScVal) => new xdr.ScMapEntry({ key: xdr.ScVal.scvSymbol(key), val });
  const id = nativeToScVal(change.toMuxedId, { type: 'u64' });
  return xdr.ScVal.scvMap([entry('amount', amount), entry('to_muxed_id', id)]);
}

/** The event the asset's contract is said to emit for a classic movement, whether it is deployed or not. */
export function movementEvent(change: BalanceChange, networkPassphrase: string): EmittedEvent {
  const parties = [change.from, change.to].filter((party) => party !== null);
  const topics = [
    xdr.ScVal.scvSymbol(change.type),
    ...parties.map((party) => new Address(party).toScVal()),
    nativeToScVal(change.asset, { type: 'string' }),
  ];
  return { contract: sdkAsset(change.asset).contractId(networkPassphrase), topics, data: eventData(change) };
}

const MOVEMENTS = { transfer: 4, mint: 3, burn: 3, clawback: 3 } as const;

function movementType(event: EmittedEvent): BalanceChange['type'] | undefined {
  const [head] = event.topics;
  const name = head?.type === 'scvSymbol' ? String(scValToNative(head)) : '';
  const type = (Object.keys(MOVEMENTS) as (keyof typeof MOVEMENTS)[]).find((candidate) => candidate === name);
  return type !== undefined && event.topics.length === MOVEMENTS[type] ? type : undefined;
}

function party(value: xdr.ScVal | undefined): string | null {
  return value?.type === 'scvAddress' ? Address.fromScVal(value).toString() : null;
}

/** An i128 amount, bare or in the map that carries a muxed id; undefined for anything else. */
function amountOf(data: xdr.ScVal): { amount: bigint; toMuxedId?: bigint } | undefined {
  const native: unknown = scValToNative(data);
  if (typeof native === 'bigint') return { amount: native };
  if (typeof native !== 'object' || native === null || !('amount' in native)) return undefined;
  if (typeof native.amount !== 'bigint') return undefined;
  const id = 'to_muxed_id' in native ? native.to_muxed_id : undefined;
  return typeof id === 'bigint' ? { amount: native.amount, toMuxedId: id } : { amount: native.amount };
}

/**
 * The genuine movements among a contract call's events: emitted by an asset's own contract, so that a look-alike
 * token moves nothing. In event order.
 */
export function balanceChanges(view: LedgerView, events: readonly EmittedEvent[]): BalanceChange[] {
  return events.flatMap((event): BalanceChange[] => {
    const asset = view.assetOfContract(event.contract);
    const type = asset === undefined ? undefined : movementType(event);
    const moved = type === undefined ? undefined : amountOf(event.data);
    if (asset === undefined || type === undefined || moved === undefined) return [];
    const named = event.topics.at(-1);
    if (named?.type !== 'scvString' || String(scValToNative(named)) !== asset) return [];
    const first = party(event.topics[1]);
    const second = party(event.topics[2]);
    const parties = { transfer: [first, second], mint: [null, first], burn: [first, null], clawback: [first, null] };
    const [from = null, to = null] = parties[type];
    return [{ asset, type, from, to, ...moved }];
  });
}

/** Every account (`G…`) that movements name, the issuer of a minted or burnt asset included. */
export function parties(changes: readonly BalanceChange[]): string[] {
  return changes.flatMap(({ asset, from, to }) => {
    const issuer = from === null || to === null ? creditOf(asset)?.issuer : undefined;
    return [from, to, issuer ?? null].filter((id) => id?.startsWith('G') === true) as string[];
  });
}
