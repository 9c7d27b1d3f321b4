/**
 * `POST /helper/send-transaction`: hands a signed envelope to the network and answers when it is in a ledger. No hash in
 * the answer, HTTP 200 also for `FAILED` (F11), the same envelope again is harmless.
 */
import { FeeBumpTransaction, type Transaction, TransactionBuilder, xdr } from '@stellar/stellar-sdk/base';
import { z } from 'zod';
import { ESCROW_KEY } from '../contracts/index.ts';
import type { Core, TransactionRecord } from '../core/types.ts';
import { ApiError } from './errors.ts';
import { escrowJson, readEscrow } from './escrow.ts';
import { touchedEscrows } from './read-model.ts';
import * as field from './schema.ts';

const sendBody = z.strictObject({ signedXdr: field.label });

const SENT = 'The transaction has been successfully sent to the Stellar network.';

/** Resolves when the transaction is in a closed ledger, or with undefined after `patienceMs`. */
function landed(core: Core, hash: string, patienceMs: number): Promise<TransactionRecord | undefined> {
  const known = core.transaction(hash);
  if (known !== undefined) return Promise.resolve(known);
  return new Promise((resolve) => {
    const finish = (record: TransactionRecord | undefined): void => {
      clearTimeout(timer);
      unsubscribe();
      resolve(record);
    };
    const timer = setTimeout(() => finish(undefined), patienceMs);
    const unsubscribe = core.onClose(() => {
      const record = core.transaction(hash);
      if (record !== undefined) finish(record);
    });
  });
}

/** The function a transaction calls: a deploy and an update answer with the escrow, everything else without. */
function calledFunction(parsed: Transaction | FeeBumpTransaction): string {
  const { operations } = parsed instanceof FeeBumpTransaction ? parsed.innerTransaction : parsed;
  const [operation] = operations;
  if (operation?.type !== 'invokeHostFunction' || operation.func.type !== 'hostFunctionTypeInvokeContract') return '';
  return String(operation.func.value.functionName);
}

/** `txBadSeq` → `tx_bad_seq`, the spelling the API passes on. */
function resultCode(resultXdr: string): string {
  const { type } = xdr.TransactionResult.fromXdr(resultXdr, 'base64').result;
  return type.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Deploys and updates answer with the escrow; everything else with status and message alone. */
function answer(core: Core, record: TransactionRecord, fn: string): Record<string, unknown> {
  if (!record.successful) return { status: 'FAILED', message: `Transaction failed: ${resultCode(record.resultXdr)}` };
  const sent = { status: 'SUCCESS', message: SENT };
  const [contractId] = record.operations.flatMap(touchedEscrows);
  if (contractId === undefined || !(fn.startsWith('tw_new_') || fn === 'update_escrow')) return sent;
  const view = core.view();
  const state = view.contractData(contractId, ESCROW_KEY);
  const escrow = state === undefined ? {} : { escrow: escrowJson(readEscrow(state.value), view, 'percent') };
  return fn === 'update_escrow' ? { ...sent, ...escrow } : { ...sent, contractId, ...escrow };
}

/** @returns the handler; it waits `patienceMs` for the ledger and then says that the outcome is not known yet. */
export function createSend(core: Core, patienceMs: () => number): (body: unknown) => Promise<Record<string, unknown>> {
  return async (body) => {
    const { signedXdr } = field.validate(sendBody, body);
    let fn: string;
    let hash: string;
    try {
      const parsed = TransactionBuilder.fromXdr(signedXdr, core.networkPassphrase);
      fn = calledFunction(parsed);
      hash = Buffer.from(parsed.hash()).toString('hex');
    } catch {
      throw new ApiError(400, 'signedXdr is not a transaction envelope', {
        signedXdr: ['signedXdr must be an envelope'],
      });
    }
    // The same envelope again finds its outcome: the network itself would only say "bad sequence" (F15).
    if (core.transaction(hash) === undefined) {
      const result = core.submit(signedXdr);
      if (result.status === 'ERROR') {
        throw new ApiError(400, `Transaction submission failed: ${resultCode(result.errorResultXdr)}`);
      }
      if (result.status === 'TRY_AGAIN_LATER')
        throw new ApiError(400, 'Transaction submission failed: TRY_AGAIN_LATER');
    }
    const record = await landed(core, hash, patienceMs());
    if (record === undefined)
      throw new ApiError(500, 'The transaction may not be complete yet: resultMetaXdr is missing');
    return answer(core, record, fn);
  };
}
