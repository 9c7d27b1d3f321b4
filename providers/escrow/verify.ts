/**
 * Nothing is signed that was not expected (F18). A provider's envelope is held against the call we would have built
 * ourselves: only fee, footprint, bounds and sequence may vary, and those inside limits. What is merely out of date is
 * told apart from what is different, because the first is prepared again and the second is parked.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { Address, StrKey, scValToNative, xdr } from '@stellar/stellar-sdk/base';
import type { EscrowCall } from '../../domain/chain.ts';
import { type InvocationContext, deriveContractId, expectedAuth, expectedInvocation } from './invocation.ts';
import type { LandedContext, Verdict, VerifyContext, VerifyEnvelope } from './port.ts';

/** Base64 characters; a call with 50 milestones of full length stays well below. */
const MAX_ENVELOPE = 65_536;
/** An envelope must stay valid at least this long after the latest ledger (seconds), or submitting it is a gamble. */
const MIN_VALIDITY = 10;
/** … and at most this long: money must not wait on a forgotten signature. */
const MAX_VALIDITY = 900;
/** More entries than one of our calls can write, besides one per payee: three transfers, the escrow, its token balance. */
const MAX_WRITES = 16;

interface Difference {
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
}

/** What comparing has found so far. */
interface Findings {
  readonly differences: Difference[];
  readonly stale: string[];
}

function differ(findings: Findings, field: string, expected: unknown, actual: unknown): void {
  const show = (value: unknown): string =>
    (typeof value === 'object' ? JSON.stringify(value, printable) : String(value)).slice(0, 2_000);
  findings.differences.push({ field, expected: show(expected), actual: show(actual) });
}

function printable(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`;
  return value instanceof Map ? [...value] : value;
}

const same = (a: { toXdr(): Uint8Array }, b: { toXdr(): Uint8Array }): boolean =>
  Buffer.compare(a.toXdr(), b.toXdr()) === 0;

/** Readable form of an argument for the difference an operator sees; values no reader understands stay XDR. */
function readable(value: xdr.ScVal | undefined): unknown {
  if (value === undefined) return 'absent';
  try {
    return scValToNative(value);
  } catch {
    return value.toXdr('base64');
  }
}

/** Strict, canonical decoding of an unsigned V1 envelope; anything else is answered with what was found instead. */
function decode(envelope: string): xdr.Transaction | string {
  if (envelope.length > MAX_ENVELOPE) return `${envelope.length} characters`;
  try {
    const decoded = xdr.TransactionEnvelope.fromXdr(envelope, 'base64');
    if (decoded.toXdr('base64') !== envelope) return 'not canonical';
    if (decoded.type !== 'envelopeTypeTx') return decoded.type;
    return decoded.v1.signatures.length === 0 ? decoded.v1.tx : 'already signed';
  } catch {
    return 'not decodable';
  }
}

function checkSource(tx: xdr.Transaction, call: EscrowCall, findings: Findings): void {
  const named = (account: xdr.MuxedAccount): string =>
    account.type === 'keyTypeEd25519' ? StrKey.encodeEd25519PublicKey(account.ed25519.value) : 'a muxed account';
  const source = named(tx.sourceAccount);
  if (source !== call.source) differ(findings, 'source', call.source, source);
  const operationSource = tx.operations[0]?.sourceAccount ?? null;
  if (operationSource !== null && named(operationSource) !== call.source) {
    differ(findings, 'operation source', call.source, named(operationSource));
  }
  if (tx.memo.type !== 'memoNone') differ(findings, 'memo', 'none', tx.memo.type);
}

function checkBounds(cond: xdr.Preconditions, chainTime: number, findings: Findings): void {
  if (cond.type === 'precondV2') {
    const { minSeqNum, minSeqAge, minSeqLedgerGap, extraSigners } = cond.v2;
    if (minSeqNum !== null || minSeqAge !== 0n || minSeqLedgerGap !== 0 || extraSigners.length > 0) {
      differ(findings, 'preconditions', 'time and ledger bounds only', 'sequence rules or extra signers');
    }
  }
  const bounds = cond.type === 'precondTime' ? cond.timeBounds : cond.type === 'precondV2' ? cond.v2.timeBounds : null;
  if (bounds === null || bounds.maxTime === 0n) return differ(findings, 'time bounds', 'a maximum time', 'none');
  const now = BigInt(chainTime);
  if (bounds.maxTime > now + BigInt(MAX_VALIDITY)) {
    differ(findings, 'time bounds', `at most ${MAX_VALIDITY} s after ${now}`, bounds.maxTime);
  }
  if (bounds.minTime > now) findings.stale.push(`not valid before ${bounds.minTime}, chain time is ${now}`);
  if (bounds.maxTime < now + BigInt(MIN_VALIDITY))
    findings.stale.push(`valid until ${bounds.maxTime}, chain time is ${now}`);
}

/** Fee cap, and a footprint that writes nothing outside the contracts and the asset the call is about. */
function checkResources(
  tx: xdr.Transaction,
  { call, contractId }: { readonly call: EscrowCall; readonly contractId: string },
  context: VerifyContext,
  findings: Findings,
): void {
  if (BigInt(tx.fee) > context.feeCap) differ(findings, 'fee', `at most ${context.feeCap}`, tx.fee);
  if (tx.ext.type !== 'sorobanData') return differ(findings, 'resources', 'declared', 'none');
  const { resources, resourceFee } = tx.ext.sorobanData;
  if (resourceFee < 0n || resourceFee > BigInt(tx.fee))
    differ(findings, 'resource fee', `at most ${tx.fee}`, resourceFee);
  // The factory and code only where they were archived: restoring does not change them.
  const contracts = new Set([
    contractId,
    context.assetContract,
    ...(call.fn === 'deploy' ? [context.factory.contractId] : []),
  ]);
  const { readWrite } = resources.footprint;
  const most = MAX_WRITES + ('distributions' in call ? call.distributions.length : 0);
  if (readWrite.length > most) differ(findings, 'footprint', `at most ${most} writes`, readWrite.length);
  for (const key of readWrite) {
    // Accounts and trustlines are where token transfers end; nobody's can be changed without authorisation.
    const known =
      key.type === 'account' ||
      key.type === 'trustline' ||
      key.type === 'contractCode' ||
      (key.type === 'contractData' && contracts.has(Address.fromScAddress(key.contractData.contract).toString()));
    if (!known) differ(findings, 'footprint', 'entries of the escrow and its asset', key.toXdr('base64'));
  }
}

/** The only operation, or undefined after noting what is there instead. */
function soleInvocation(
  tx: xdr.Transaction,
  findings: Findings,
): { args: xdr.InvokeContractArgs; auth: readonly xdr.SorobanAuthorizationEntry[] } | undefined {
  const [operation] = tx.operations;
  if (tx.operations.length !== 1 || operation?.body.type !== 'invokeHostFunction') {
    differ(
      findings,
      'operations',
      ['invokeHostFunction'],
      tx.operations.map(({ body }) => body.type),
    );
    return undefined;
  }
  const { hostFunction, auth } = operation.body.invokeHostFunctionOp;
  if (hostFunction.type === 'hostFunctionTypeInvokeContract') return { args: hostFunction.invokeContract, auth };
  differ(findings, 'host function', 'hostFunctionTypeInvokeContract', hostFunction.type);
  return undefined;
}

/** The salt of a deploy is the provider's to choose; it must be 32 bytes. */
function saltOf(call: EscrowCall, args: xdr.InvokeContractArgs): Uint8Array | null {
  const salt = call.fn === 'deploy' ? args.args[2] : undefined;
  return salt?.type === 'scvBytes' && salt.bytes.value.length === 32 ? salt.bytes.value : null;
}

function checkInvocation(
  actual: xdr.InvokeContractArgs,
  expected: xdr.InvokeContractArgs,
  call: EscrowCall,
  findings: Findings,
): void {
  if (!same(actual.contractAddress, expected.contractAddress)) {
    const name = (args: xdr.InvokeContractArgs): string => Address.fromScAddress(args.contractAddress).toString();
    differ(findings, 'contract', name(expected), name(actual));
  }
  if (String(actual.functionName) !== String(expected.functionName)) {
    differ(findings, 'function', String(expected.functionName), String(actual.functionName));
  }
  for (let index = 0; index < Math.max(actual.args.length, expected.args.length); index += 1) {
    const [is, should] = [actual.args[index], expected.args[index]];
    if (is !== undefined && should !== undefined && same(is, should)) continue;
    // A snapshot of the escrow that is out of date makes the contract refuse; it cannot move anything.
    const snapshot = call.fn === 'fund' && index === 1 && is?.type === 'scvMap';
    if (snapshot) findings.stale.push('expected_escrow is not what the contract stores now');
    else differ(findings, `argument ${index}`, readable(should), readable(is));
  }
}

function checkAuth(
  auth: readonly xdr.SorobanAuthorizationEntry[],
  expected: xdr.SorobanAuthorizationEntry,
  findings: Findings,
): void {
  const [entry] = auth;
  if (auth.length === 1 && entry !== undefined && same(entry, expected)) return;
  const show = (list: readonly xdr.SorobanAuthorizationEntry[]): string[] => list.map((item) => item.toXdr('base64'));
  differ(findings, 'authorisation', show([expected]), show(auth));
}

const verdictOf = ({ differences, stale }: Findings): Verdict | undefined => {
  if (differences.length > 0) return { verdict: 'DIFFERENT', differences };
  return stale.length > 0 ? { verdict: 'STALE', reason: stale.join('; ') } : undefined;
};

interface Checked {
  readonly tx: xdr.Transaction;
  /** the contract that is called, or made */
  readonly contractId: string;
}

/** What the envelope does, against the call; undefined where it is no call of ours at all. */
function check(
  envelope: string,
  call: EscrowCall,
  context: LandedContext,
  findings: Findings,
  more: (checked: Checked) => void,
): Checked | undefined {
  const tx = decode(envelope);
  if (typeof tx === 'string') {
    differ(findings, 'envelope', 'an unsigned canonical transaction', tx);
    return undefined;
  }
  checkSource(tx, call, findings);
  const invocation = soleInvocation(tx, findings);
  if (invocation === undefined) return undefined;
  const salt = saltOf(call, invocation.args);
  if (call.fn === 'deploy' && salt === null) {
    differ(findings, 'argument 2', '32 bytes of salt', readable(invocation.args.args[2]));
    return undefined;
  }
  const expectation: InvocationContext = { ...context, salt };
  const expected = expectedInvocation(call, expectation);
  const contractId =
    call.fn === 'deploy'
      ? deriveContractId(context.factory.contractId, salt ?? new Uint8Array(), context.networkPassphrase)
      : call.contractId;
  checkInvocation(invocation.args, expected, call, findings);
  const snapshotOutdated = findings.stale.length > 0;
  more({ tx, contractId });
  // The authorisation repeats the call, a snapshot that is out of date included.
  checkAuth(
    invocation.auth,
    expectedAuth(call, snapshotOutdated ? invocation.args : expected, context.assetContract),
    findings,
  );
  return { tx, contractId };
}

const okOf = (envelope: string, { tx, contractId }: Checked, networkPassphrase: string): Verdict => ({
  verdict: 'OK',
  hash: hashOf(envelope, networkPassphrase),
  sequence: tx.seqNum,
  maxTime: Number(maxTimeOf(tx.cond)),
  fee: BigInt(tx.fee),
  contractId,
});

/**
 * Judges an unsigned envelope against the call it was asked for.
 * `OK` names the hash on *our* network and, for a deploy, the contract id it will create (F1).
 */
export const verifyEnvelope: VerifyEnvelope = (envelope, call, context) => {
  const findings: Findings = { differences: [], stale: [] };
  const checked = check(envelope, call, context, findings, ({ tx, contractId }) => {
    if (tx.seqNum !== context.sequence + 1n)
      findings.stale.push(`sequence ${tx.seqNum}, account is at ${context.sequence}`);
    checkBounds(tx.cond, context.chainTime, findings);
    checkResources(tx, { call, contractId }, context, findings);
  });
  if (checked === undefined) return { verdict: 'DIFFERENT', differences: findings.differences };
  return verdictOf(findings) ?? okOf(envelope, checked, context.networkPassphrase);
};

/**
 * Judges a transaction that landed, its signatures and fee bump taken off: whether it did what `call` would have done.
 * Never STALE: of a funding the snapshot of the escrow may be any, the contract compared it with its own.
 */
export function verifyLanded(envelope: string, call: EscrowCall, context: LandedContext): Verdict {
  const findings: Findings = { differences: [], stale: [] };
  const checked = check(envelope, call, context, findings, () => undefined);
  if (checked === undefined || findings.differences.length > 0)
    return { verdict: 'DIFFERENT', differences: findings.differences };
  return okOf(envelope, checked, context.networkPassphrase);
}

/**
 * An unsigned V1 envelope is the tagged transaction that the network hashes, followed by an empty signature list (four
 * zero bytes): no need to encode it once more.
 */
function hashOf(envelope: string, networkPassphrase: string): string {
  const network = createHash('sha256').update(networkPassphrase, 'utf8').digest();
  const tagged = Buffer.from(envelope, 'base64').subarray(0, -4);
  return createHash('sha256').update(network).update(tagged).digest('hex');
}

function maxTimeOf(cond: xdr.Preconditions): bigint {
  if (cond.type === 'precondTime') return cond.timeBounds.maxTime;
  return cond.type === 'precondV2' ? (cond.v2.timeBounds?.maxTime ?? 0n) : 0n;
}
