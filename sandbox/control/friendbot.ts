/** Friendbot: 10 000 XLM for an account that does not exist yet. */
import { Operation } from '@stellar/stellar-sdk/base';
import type { SandboxCore } from '../core/core.ts';
import type { TransactionRecord } from '../core/types.ts';
import { Problem } from '../horizon/problem.ts';
import { type Dispenser, OperationFailed } from './dispenser.ts';

const STARTING_BALANCE = '10000';

function alreadyFunded(): Problem {
  return new Problem('bad_request', 'account already funded to starting balance (createAccountAlreadyExist)');
}

/** @returns the funder; it answers once the account is on the ledger. @throws Problem 400 when it was there before */
export function createFriendbot(
  core: SandboxCore,
  dispenser: Dispenser,
): (address: string) => Promise<TransactionRecord> {
  return async (address) => {
    if (core.view().account(address) !== undefined) throw alreadyFunded();
    try {
      return await dispenser.run(Operation.createAccount({ destination: address, startingBalance: STARTING_BALANCE }));
    } catch (error) {
      if (error instanceof OperationFailed && error.code === 'op_already_exists') throw alreadyFunded();
      throw error;
    }
  };
}
