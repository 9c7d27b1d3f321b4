/** Every operation this ledger executes: its signature level, its static check and its execution. Others are refused. */
import type { xdr } from '@stellar/stellar-sdk/base';
import { OP_CODES, type OpType } from '../results.ts';
import type { Level } from '../signatures.ts';
import * as accounts from './accounts.ts';
import type { OpContext, OpOutcome } from './context.ts';
import { invokeHostFunction } from './contract.ts';
import * as payments from './payments.ts';
import * as trust from './trust.ts';

type Body<T extends OpType> = Extract<xdr.OperationBody, { type: T }>;

interface Definition<T extends OpType> {
  readonly level: (body: Body<T>) => Level;
  /** What can be told wrong without the ledger: a failure's name or null. */
  readonly check: (body: Body<T>, source: string) => string | null;
  readonly execute: (context: OpContext, body: Body<T>) => OpOutcome;
}

const low = (): Level => 'low';
const med = (): Level => 'med';
const high = (): Level => 'high';
const nothing = (): null => null;

/** Whoever changes who may sign needs the highest threshold. */
function optionsLevel({ setOptionsOp: op }: Body<'setOptions'>): Level {
  const weights = [op.masterWeight, op.lowThreshold, op.medThreshold, op.highThreshold, op.signer];
  return weights.some((weight) => weight !== null) ? 'high' : 'med';
}

const TABLE: { readonly [T in OpType]: Definition<T> } = {
  createAccount: { level: med, check: accounts.checkCreateAccount, execute: accounts.createAccount },
  payment: { level: med, check: payments.checkPayment, execute: payments.payment },
  pathPaymentStrictReceive: { level: med, check: payments.checkStrictReceive, execute: payments.pathStrictReceive },
  pathPaymentStrictSend: { level: med, check: payments.checkStrictSend, execute: payments.pathStrictSend },
  setOptions: { level: optionsLevel, check: accounts.checkSetOptions, execute: accounts.setOptions },
  changeTrust: { level: med, check: trust.checkChangeTrust, execute: trust.changeTrust },
  accountMerge: { level: high, check: accounts.checkAccountMerge, execute: accounts.accountMerge },
  manageData: { level: med, check: accounts.checkManageData, execute: accounts.manageData },
  bumpSequence: { level: low, check: accounts.checkBumpSequence, execute: accounts.bumpSequence },
  beginSponsoringFutureReserves: {
    level: med,
    check: accounts.checkBeginSponsoring,
    execute: accounts.beginSponsoring,
  },
  endSponsoringFutureReserves: { level: med, check: nothing, execute: accounts.endSponsoring },
  clawback: { level: med, check: trust.checkClawback, execute: trust.clawback },
  setTrustLineFlags: { level: low, check: trust.checkSetTrustLineFlags, execute: trust.setTrustLineFlags },
  invokeHostFunction: { level: med, check: nothing, execute: invokeHostFunction },
};

function isSupported(type: string): type is OpType {
  return Object.hasOwn(OP_CODES, type);
}

export interface Operation {
  readonly type: OpType;
  readonly level: Level;
  check(source: string): string | null;
  execute(context: OpContext): OpOutcome;
}

function bind<T extends OpType>(definition: Definition<T>, type: T, body: Body<T>): Operation {
  return {
    type,
    level: definition.level(body),
    check: (source) => definition.check(body, source),
    execute: (context) => definition.execute(context, body),
  };
}

/** The operation behind a body; undefined if this ledger does not execute its kind. */
export function operationOf(body: xdr.OperationBody): Operation | undefined {
  if (!isSupported(body.type)) return undefined;
  // The table pairs each type with its own body; TypeScript cannot follow that through a union.
  return bind(TABLE[body.type] as Definition<OpType>, body.type, body as Body<OpType>);
}
