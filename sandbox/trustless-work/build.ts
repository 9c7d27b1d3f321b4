/** From a contract call to the unsigned envelope that the acting wallet signs. */
import { createHash } from 'node:crypto';
import { Account, Address, Operation, type Transaction, TransactionBuilder, xdr } from '@stellar/stellar-sdk/base';
import { type Deployment, assemble } from '../contracts/index.ts';
import type { Core, LedgerView } from '../core/types.ts';
import type { Action, BuildContext, Call } from './actions.ts';
import { ApiError, contractError, escrowNotFound } from './errors.ts';
import type { ReadModel } from './read-model.ts';

/** Inclusion fee the API offers, stroops. */
const INCLUSION_FEE = '1000';
/** Seconds after the latest ledger's close for which an envelope is valid. */
const VALIDITY = 300;

/** Refuses a deploy for role wallets without a trustline; the token of a disguised contract address has no asset. */
function trustlineCheck(core: Core): BuildContext['requireTrustlines'] {
  return ({ roles, milestones, asset }) => {
    if (asset === null) return;
    const view = core.view();
    const wallets = [
      ...Object.entries(roles),
      ...milestones.map(({ receiver }): [string, string | undefined] => ['receiver', receiver]),
    ];
    for (const [role, wallet] of wallets) {
      const needsOne = wallet?.startsWith('G') === true && !asset.endsWith(`:${wallet}`);
      if (needsOne && view.trustline(wallet, asset) === undefined) {
        const text = `The wallet for role '${role}' does not have the required asset to complete this operation.`;
        throw new ApiError(400, text);
      }
    }
  };
}

function unsigned(call: Call, view: LedgerView): Transaction {
  const account = view.account(call.source);
  if (account === undefined) throw new ApiError(400, `Account not found: ${call.source}`);
  const operation = Operation.invokeHostFunction({
    func: xdr.HostFunction.hostFunctionTypeInvokeContract(
      new xdr.InvokeContractArgs({
        contractAddress: new Address(call.contract).toScAddress(),
        functionName: call.fn,
        args: call.args,
      }),
    ),
    auth: [],
  });
  return new TransactionBuilder(new Account(call.source, account.sequence.toString()), {
    fee: INCLUSION_FEE,
    networkPassphrase: view.networkPassphrase,
    timebounds: { minTime: 0, maxTime: view.closeTime + VALIDITY },
  })
    .addOperation(operation)
    .build();
}

/** @returns a function that builds one action's envelope (base64) from a request body. @throws ApiError */
export function createBuilder(deps: {
  readonly core: Core;
  readonly deployment: Deployment;
  readonly model: ReadModel;
  readonly misMapping: () => boolean;
}): (action: Action, body: unknown) => string {
  const { core, model } = deps;
  let deploys = 0;
  const context: BuildContext = {
    passphrase: core.networkPassphrase,
    deployment: deps.deployment,
    indexed: (contractId) => {
      const row = model.find(contractId);
      if (row === undefined) throw escrowNotFound();
      return row;
    },
    requireTrustlines: trustlineCheck(core),
    // Not random: the same calls after the same history give the same contract ids.
    salt: () => {
      deploys += 1;
      return createHash('sha256').update(`trustless-work ${core.latest().hash} ${deploys}`).digest();
    },
  };
  return (action, body) => {
    const call = action.build(body, context);
    const view = core.view();
    const assembled = assemble(view, unsigned(call, view));
    if (!assembled.ok) throw contractError(assembled, action.type, deps.misMapping());
    return assembled.transaction.toXdr();
  };
}
