/** `GET`, `POST` and `DELETE /control/faults`, and `GET /control/journal`. */
import { StrKey } from '@stellar/stellar-sdk/base';
import { z } from 'zod';
import { parseAmount } from '../../domain/money.ts';
import { bodyOf, ControlError, type Handler } from '../control/body.ts';
import { queryOf } from '../core/http.ts';
import { KEPT_LEDGERS } from '../core/state.ts';
import { FAULTS, type FaultName, type FaultRule, type Faults } from './registry.ts';

function isPositive(text: string): boolean {
  try {
    return parseAmount(text) > 0n;
  } catch {
    return false;
  }
}

const parts = ['face', 'method', 'path', 'body', 'hash', 'source', 'fn'] as const;

const ruleBody = z
  .strictObject({
    name: z.enum(Object.keys(FAULTS) as [FaultName, ...FaultName[]]),
    probability: z.number().min(0).max(1),
    count: z.int().min(1).nullable(),
    match: z.partialRecord(z.enum(parts), z.string()),
    retry_after: z.int().min(0).nullable(),
    delay_ms: z.int().min(0).max(600_000),
    ledgers: z.int().min(1).max(KEPT_LEDGERS),
    address: z.string(),
    amount: z.string().refine(isPositive, 'not a positive decimal amount of at most seven decimals'),
    fee: z.int().min(100).max(100_000_000),
  })
  .partial()
  .required({ name: true });

/** Faults that strike one account or contract, and how its address is told. */
const ADDRESSED: Partial<Record<FaultName, (address: string) => boolean>> = {
  frozen_trustline: StrKey.isValidEd25519PublicKey,
  clawback: StrKey.isValidEd25519PublicKey,
  archived_entry: StrKey.isValidContract,
};

function ruleOf(body: z.infer<typeof ruleBody>): Partial<FaultRule> & { readonly name: FaultName } {
  const { retry_after: retryAfter, delay_ms: delayMs, ...rest } = body;
  if (ADDRESSED[body.name]?.(body.address ?? '') === false) {
    throw new ControlError(422, `address: ${body.name} needs the address that it strikes`);
  }
  const given = { ...rest, retryAfter, delayMs };
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(known), name: body.name };
}

/** A rule in the words of its request. */
function shown({ retryAfter, delayMs, ...rest }: FaultRule): object {
  return { ...rest, retry_after: retryAfter, delay_ms: delayMs };
}

export function faultRoutes(faults: Faults): Record<string, Handler> {
  return {
    'GET /faults': () => ({ faults: faults.list().map(shown), known: FAULTS }),
    'POST /faults': async (req) => shown(faults.set(ruleOf(await bodyOf(req, ruleBody)))),
    'DELETE /faults': (req) => {
      const name = queryOf(req).get('name');
      if (name !== null && !Object.hasOwn(FAULTS, name)) throw new ControlError(404, `no fault ${name}`);
      faults.clear(name === null ? undefined : (name as FaultName));
      return { faults: faults.list().map(shown) };
    },
    'GET /journal': () => ({ fired: faults.journal() }),
  };
}
