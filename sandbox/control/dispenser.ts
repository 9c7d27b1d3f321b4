/**
 * Operations of the sandbox's own accounts (friendbot, issuer). Requests that come together share a transaction, since
 * an account has one per ledger.
 */
import { Account, type Keypair, TransactionBuilder, type xdr } from '@stellar/stellar-sdk/base';
import type { SandboxCore } from '../core/core.ts';
import { resultCodes } from '../core/results.ts';
import type { TransactionRecord } from '../core/types.ts';

const MAX_OPERATIONS = 100;
/** The envelope is dead this many ledgers on; whoever waits is told. */
const VALID_LEDGERS = 10;

export class OperationFailed extends Error {
  override readonly name = 'OperationFailed';
  /** Horizon's name of the result, e.g. `op_no_trust` */
  readonly code: string;
  constructor(code: string) {
    super(`the operation failed: ${code}`);
    this.code = code;
  }
}

interface Request {
  readonly operation: xdr.Operation;
  readonly resolve: (record: TransactionRecord) => void;
  readonly reject: (error: OperationFailed) => void;
}

export interface Dispenser {
  /** Puts the operation on the ledger. @throws OperationFailed with the operation's result */
  run(operation: xdr.Operation): Promise<TransactionRecord>;
}

/** The transaction once it is in a ledger; undefined when it can no longer get into one. */
function applied(core: SandboxCore, hash: string, envelope: string): Promise<TransactionRecord | undefined> {
  const limit = core.latest().sequence + VALID_LEDGERS;
  return new Promise((resolve) => {
    const stop = core.onClose(({ sequence }) => {
      const record = core.transaction(hash);
      // A ledger number that went back is a reset: nothing of before will ever apply.
      if (record === undefined && sequence < limit && sequence > limit - VALID_LEDGERS) {
        // A queue that turned it away may take it now; one that has it says DUPLICATE.
        core.submit(envelope);
        return;
      }
      stop();
      resolve(record);
    });
  });
}

/** @param closeByHand called after a submission when no clock closes ledgers */
export function createDispenser(core: SandboxCore, key: Keypair, closeByHand: () => void): Dispenser {
  let waiting: Request[] = [];
  let busy = false;

  const build = (batch: readonly Request[]): string => {
    const account = core.view().account(key.publicKey());
    if (account === undefined) throw new OperationFailed('op_no_source_account');
    const builder = new TransactionBuilder(new Account(account.id, String(account.sequence)), {
      fee: '100',
      networkPassphrase: core.networkPassphrase,
      timebounds: { minTime: 0, maxTime: 0 },
      ledgerbounds: { minLedger: 0, maxLedger: core.latest().sequence + VALID_LEDGERS },
    });
    for (const { operation } of batch) builder.addOperation(operation);
    const transaction = builder.build();
    transaction.sign(key);
    return transaction.toXdr();
  };

  const settle = (batch: readonly Request[], record: TransactionRecord): void => {
    const { transaction, operations = [] } = record.successful ? { transaction: '' } : resultCodes(record.resultXdr);
    batch.forEach((request, index) => {
      const code = record.successful ? 'op_success' : (operations[index] ?? transaction);
      if (record.successful) request.resolve(record);
      else if (code !== 'op_success') request.reject(new OperationFailed(code));
      // Nothing wrong with this one: it only shared a transaction with one that failed.
      else waiting.push(request);
    });
  };

  const flush = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_OPERATIONS);
      waiting = waiting.slice(MAX_OPERATIONS);
      try {
        const envelope = build(batch);
        const outcome = core.submit(envelope);
        if (outcome.status === 'ERROR') {
          const { transaction, operations } = resultCodes(outcome.errorResultXdr);
          const failed = operations?.find((code) => code !== 'op_success');
          throw new OperationFailed(failed ?? transaction);
        }
        const landing = applied(core, outcome.hash, envelope);
        closeByHand();
        const record = await landing;
        if (record === undefined) throw new OperationFailed('tx_too_late');
        settle(batch, record);
      } catch (error) {
        const failure = error instanceof OperationFailed ? error : new OperationFailed(String(error));
        for (const { reject } of batch) reject(failure);
      }
    }
    busy = false;
  };

  return {
    run: (operation) =>
      new Promise((resolve, reject) => {
        waiting.push({ operation, resolve, reject });
        if (busy) return;
        busy = true;
        setImmediate(() => void flush());
      }),
  };
}
