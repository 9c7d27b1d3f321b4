/**
 * Database steps with words beside them: what an operator reads in a workflow's history. A summary is no command: changing
 * one needs no `patched()`.
 */
import {
  type ActivityInterfaceFor,
  type ActivityOptions,
  type LocalActivityOptions,
  proxyActivities,
  proxyLocalActivities,
} from '@temporalio/workflow';

const WORDS = {
  createOrder: 'write the order on its row',
  loadOrder: 'read the order',
  reserveFunds: "set the buyer's money aside",
  cancelOrder: 'cancel, and give the reservation back',
  extendDeadline: 'move the deadline',
  beginOperation: 'write on the row what begins',
  failOperation: 'write on the row what failed, and go back',
  voidFunding: 'compensate: the escrow was not funded, the reservation stands',
  bookForeignTransaction: "book what somebody else's transaction moved on the contract",
  parkOperation: 'park: an operator has to look',
  unparkOperation: 'take the parked step up again',
  divertPayout: 'two persons decided who is paid instead',
  openDispute: 'open the dispute on the row',
  openDisputesOf: 'which disputes are open',
  settleDisputes: 'take over what the disputes came to',

  loadDispute: 'read the dispute',
  assignDispute: 'assign the dispute',
  withdrawDispute: 'withdraw the dispute',
  beginResolution: 'write the decision on the row',
  beginDefault: 'nobody decided in time: the default applies',
  parkDispute: 'park: an operator has to look',
  unparkDispute: 'take the parked step up again',
  divertDecision: 'two persons decided who is paid instead',
  failResolution: 'write on the row what failed, and go back',
  tellOrder: 'tell the order what became of its dispute',

  createPayment: 'hold the money and write the payment on its row',
  loadPayment: 'read the payment',
  approvePayment: 'approve',
  cancelPayment: 'cancel, and give the money back',
  parkPayment: 'park: an operator has to look',
  unparkPayment: 'take the parked step up again',
  failPayment: 'compensate: nothing was paid, the money is available again',

  startSurplus: 'money is left in the contract: somebody has to say where it goes',
  lookAtSurplus: 'book what came in, and see what is left in the contract',
  takeSurplusApproval: 'two persons agree: pay it out',
  dropSurplusApproval: 'compensate: nothing was paid, the two persons are asked anew',
  parkSurplus: 'park: an operator has to look',
  unparkSurplus: 'take the parked step up again',

  createUser: 'write the user and his wallet',
  changeUser: 'change the user',
  loadWallet: 'read the wallet',
  recordMovements: 'book what arrived, with the cursor',
  beginClosing: 'nothing may be on it: begin to close the wallet',
  abandonClosing: 'it stays open',
  trustlinesRepaired: 'note what became of the trustlines',
  takeBatch: 'who waits for a wallet',
  splitBatch: 'halve the batch: one of it may be bad',
  provisioningNeedsAttention: 'this wallet cannot be created: tell an operator',
} as const;

/** Of the activities of `A` those that have words; the others are called with a summary of their own. */
export type Worded<A> = Pick<ActivityInterfaceFor<A>, Extract<keyof A, keyof typeof WORDS>>;

/** Short database work within the workflow task. */
export const localSteps = <A>(options: LocalActivityOptions): Worded<A> =>
  worded((summary) => proxyLocalActivities<A>({ ...options, summary }));

/** Normal activities: compensations and the like, which an operator sees by name. */
export const steps = <A>(options: ActivityOptions): Worded<A> =>
  worded((summary) => proxyActivities<A>({ ...options, summary }));

function worded<A>(withSummary: (summary: string) => ActivityInterfaceFor<A>): Worded<A> {
  const all = Object.entries(WORDS).map(([name, summary]) => [name, withSummary(summary)[name as keyof A]]);
  return Object.fromEntries(all) as Worded<A>;
}
