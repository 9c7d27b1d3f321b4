/** Payments and path payments. There is no order book: a path that converts finds no offers. */
import type { xdr } from '@stellar/stellar-sdk/base';
import { accountId, assetId, creditOf, muxedId, publicKey, validAsset } from '../keys.ts';
import { int64 } from '../results.ts';
import type { CoreView } from '../state.ts';
import type { AssetId, BalanceChange } from '../types.ts';
import { failure, MAX_INT64, type OpContext, type OpOutcome, spendable } from './context.ts';

export const AUTHORIZED = 1;

/** A classic movement: the issuer's side makes it a mint or a burn. */
export function movement(asset: AssetId, from: string, to: string, amount: bigint, id: bigint | null): BalanceChange {
  const issuer = creditOf(asset)?.issuer;
  const muxed = id === null ? {} : { toMuxedId: id };
  if (issuer === from && issuer !== to) return { asset, type: 'mint', from: null, to, amount, ...muxed };
  if (issuer === to && issuer !== from) return { asset, type: 'burn', from, to: null, amount, ...muxed };
  return { asset, type: 'transfer', from, to, amount, ...muxed };
}

/** Adds to a balance; returns the failure's name or null. */
export function credit(view: CoreView, to: string, asset: AssetId, amount: bigint): string | null {
  const issuer = creditOf(asset)?.issuer;
  if (issuer === to) return null;
  const account = view.account(to);
  if (account === undefined) return 'op_no_destination';
  if (issuer === undefined) {
    if (account.balance > MAX_INT64 - amount) return 'op_line_full';
    account.balance += amount;
    view.putAccount(account);
    return null;
  }
  const line = view.trustline(to, asset);
  if (line === undefined) return 'op_no_trust';
  if ((line.flags & AUTHORIZED) === 0) return 'op_not_authorized';
  if (line.limit - line.balance < amount) return 'op_line_full';
  line.balance += amount;
  view.putTrustline(line);
  return null;
}

/** Takes from a balance; returns the failure's name or null. */
export function debit(view: CoreView, from: string, asset: AssetId, amount: bigint): string | null {
  const issuer = creditOf(asset)?.issuer;
  if (issuer === from) return null;
  if (issuer === undefined) {
    const account = view.account(from);
    if (account === undefined || spendable(account, view.baseReserve) < amount) return 'op_underfunded';
    account.balance -= amount;
    view.putAccount(account);
    return null;
  }
  const line = view.trustline(from, asset);
  if (line === undefined) return 'op_src_no_trust';
  if ((line.flags & AUTHORIZED) === 0) return 'op_src_not_authorized';
  if (line.balance < amount) return 'op_underfunded';
  line.balance -= amount;
  view.putTrustline(line);
  return null;
}

type Body<T extends xdr.OperationBody['type']> = Extract<xdr.OperationBody, { type: T }>;

export function checkPayment({ paymentOp }: Body<'payment'>): string | null {
  const asset = assetId(paymentOp.asset);
  return paymentOp.amount > 0n && asset !== undefined && validAsset(asset) ? null : 'op_malformed';
}

export function payment({ view, source }: OpContext, { paymentOp }: Body<'payment'>): OpOutcome {
  const to = accountId(paymentOp.destination);
  const asset = assetId(paymentOp.asset) ?? 'native';
  const { amount } = paymentOp;
  const moved = { name: 'op_success', changes: [movement(asset, source, to, amount, muxedId(paymentOp.destination))] };
  if (asset === 'native' && to === source) return moved;
  // The destination is looked at first, as core executes a payment as a strict-receive path.
  const failed = credit(view, to, asset, amount) ?? debit(view, source, asset, amount);
  return failed === null ? moved : failure(failed);
}

/** The success payload of a path payment without conversions: no offers, then what arrived. */
function pathPayload(to: string, asset: xdr.Asset, amount: bigint): Buffer {
  return Buffer.concat([Buffer.alloc(4), publicKey(to).toXdr(), asset.toXdr(), int64(amount)]);
}

interface PathPayment {
  readonly destination: xdr.MuxedAccount;
  readonly destAsset: xdr.Asset;
  readonly amount: bigint;
}

function checkPath(send: xdr.Asset, dest: xdr.Asset, path: readonly xdr.Asset[], amounts: bigint[]): string | null {
  const assets = [send, dest, ...path].map((asset) => assetId(asset));
  const valid = assets.every((asset) => asset !== undefined && validAsset(asset));
  return valid && amounts.every((amount) => amount > 0n) ? null : 'op_malformed';
}

export function checkStrictReceive({
  pathPaymentStrictReceiveOp: op,
}: Body<'pathPaymentStrictReceive'>): string | null {
  return checkPath(op.sendAsset, op.destAsset, op.path, [op.sendMax, op.destAmount]);
}

export function checkStrictSend({ pathPaymentStrictSendOp: op }: Body<'pathPaymentStrictSend'>): string | null {
  return checkPath(op.sendAsset, op.destAsset, op.path, [op.sendAmount, op.destMin]);
}

const converts = (op: { sendAsset: xdr.Asset; destAsset: xdr.Asset; path: readonly xdr.Asset[] }): boolean =>
  [op.destAsset, ...op.path].some((asset) => assetId(asset) !== assetId(op.sendAsset));

function moved(source: string, { destination, destAsset, amount }: PathPayment): OpOutcome {
  const to = accountId(destination);
  const asset = assetId(destAsset) ?? 'native';
  const changes = [movement(asset, source, to, amount, muxedId(destination))];
  return { name: 'op_success', payload: pathPayload(to, destAsset, amount), changes };
}

export function pathStrictReceive(
  { view, source }: OpContext,
  { pathPaymentStrictReceiveOp: op }: Body<'pathPaymentStrictReceive'>,
): OpOutcome {
  const to = accountId(op.destination);
  const asset = assetId(op.destAsset) ?? 'native';
  const credited = credit(view, to, asset, op.destAmount);
  if (credited !== null) return failure(credited);
  if (converts(op)) return failure('op_too_few_offers');
  if (op.destAmount > op.sendMax) return failure('op_over_source_max');
  const debited = debit(view, source, asset, op.destAmount);
  if (debited !== null) return failure(debited);
  return moved(source, { destination: op.destination, destAsset: op.destAsset, amount: op.destAmount });
}

export function pathStrictSend(
  { view, source }: OpContext,
  { pathPaymentStrictSendOp: op }: Body<'pathPaymentStrictSend'>,
): OpOutcome {
  const to = accountId(op.destination);
  const asset = assetId(op.destAsset) ?? 'native';
  if (creditOf(asset)?.issuer !== to && view.account(to) === undefined) return failure('op_no_destination');
  const debited = debit(view, source, assetId(op.sendAsset) ?? 'native', op.sendAmount);
  if (debited !== null) return failure(debited);
  if (converts(op)) return failure('op_too_few_offers');
  if (op.sendAmount < op.destMin) return failure('op_under_dest_min');
  const credited = credit(view, to, asset, op.sendAmount);
  if (credited !== null) return failure(credited);
  return moved(source, { destination: op.destination, destAsset: op.destAsset, amount: op.sendAmount });
}
