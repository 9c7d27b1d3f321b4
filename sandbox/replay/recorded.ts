/** Replays the deterministic files: scenarios of recorded calls with everything they did. */
import { isDeepStrictEqual } from 'node:util';
import { Address, xdr } from '@stellar/stellar-sdk/base';
import type { EmittedEvent, InvokeOutcome } from '../core/types.ts';
import { type Json, toNative } from './native.ts';
import { type Balances, createWorld, type Meta, sha256Hex, type World } from './world.ts';

interface RecordedInvocation {
  readonly contract: string;
  readonly fn: string;
  readonly args: Json;
  readonly sub: readonly RecordedInvocation[];
}

interface RecordedStep {
  readonly n: number;
  readonly label: string;
  readonly ledger: number;
  readonly source: string;
  readonly contract: string;
  readonly fn: string;
  readonly invokeXdr: string;
  readonly authMode?: 'enforced';
  readonly ok: boolean;
  readonly result?: Json;
  readonly resultXdr?: string;
  readonly error?: { readonly at: string; readonly code: number | null; readonly raw: string };
  readonly auth?: readonly { readonly credentials: string; readonly root: RecordedInvocation; readonly xdr?: string }[];
  readonly events?: readonly {
    readonly contract: string;
    readonly topics: Json;
    readonly data: Json;
    readonly topicsXdr?: readonly string[];
    readonly dataXdr?: string;
  }[];
  readonly balances: Readonly<Record<string, readonly [string | null, string | null]>>;
  readonly stateSha256?: string | null;
  readonly stateTtlLedgersLeft?: number | null;
  readonly resources?: { readonly readOnly: readonly string[]; readonly readWrite: readonly string[] };
}

export interface RecordedFile {
  readonly meta: Meta;
  readonly scenarios: readonly {
    readonly name: string;
    readonly escrow: string;
    readonly initialBalances: Balances;
    readonly steps: readonly RecordedStep[];
  }[];
}

/** Reports where the model differs: the place, and one line per difference. */
export type Report = (place: string, differences: readonly string[]) => void;

const text = (value: unknown): string => JSON.stringify(value) ?? 'undefined';

const differs = (what: string, expected: unknown, actual: unknown): string[] =>
  isDeepStrictEqual(expected, actual) ? [] : [`${what}: recorded ${text(expected)}, model ${text(actual)}`];

/** Which contract raised it, in the recordings' words; for other than contract errors they only give a hint. */
function outcomeOf(outcome: InvokeOutcome, world: World): string {
  if (outcome.ok) return 'ok';
  if (outcome.code === null) return outcome.raw;
  const name = world.nameOf(outcome.contract ?? '');
  const at = name.startsWith('@factory') ? 'factory' : name === '@sac' ? 'sac' : 'escrow';
  return `${at} ${outcome.raw}`;
}

function recordedOutcome(step: RecordedStep): string {
  if (step.error === undefined) return 'ok';
  return step.error.code === null ? step.error.raw : `${step.error.at} ${step.error.raw}`;
}

/** Changed balances by name; an escrow deployed in this step had none before. */
export function changedBalances(before: Map<string, bigint | null>, after: Map<string, bigint | null>) {
  const changed: Record<string, [string | null, string | null]> = {};
  for (const [name, balance] of after) {
    const old = before.has(name) ? (before.get(name) ?? null) : 0n;
    if (old !== balance) changed[name] = [old?.toString() ?? null, balance?.toString() ?? null];
  }
  return changed;
}

function invocationOf(
  root: xdr.SorobanAuthorizedInvocation,
  recorded: RecordedInvocation | undefined,
  call: string,
  world: World,
): Json {
  if (root.function.type !== 'sorobanAuthorizedFunctionTypeContractFn') return root.function.type;
  const { contractFn } = root.function;
  const native = contractFn.args.map((value) => toNative(value, world.nameOf));
  const same = contractFn.toXdr('base64') === call;
  // recordings without XDR give only the number of a sub-invocation's arguments
  const args = same ? '=call' : typeof recorded?.args === 'number' ? native.length : native;
  return {
    contract: world.nameOf(Address.fromScAddress(contractFn.contractAddress).toString()),
    fn: contractFn.functionName.toString(),
    args,
    sub: root.subInvocations.map((sub, index) => invocationOf(sub, recorded?.sub[index], call, world)),
  };
}

function authOf(outcome: InvokeOutcome, step: RecordedStep, world: World): Json {
  if (!outcome.ok) return [];
  return outcome.auth.map((entry, index) => {
    const { credentials } = entry;
    const signer =
      credentials.type === 'sorobanCredentialsAddress'
        ? world.nameOf(Address.fromScAddress(credentials.address.address).toString())
        : 'source';
    return {
      credentials: signer,
      root: invocationOf(entry.rootInvocation, step.auth?.[index]?.root, step.invokeXdr, world),
    };
  });
}

function compareEvents(events: readonly EmittedEvent[], step: RecordedStep, world: World): string[] {
  const recorded = step.events ?? [];
  const problems = differs('number of events', recorded.length, events.length);
  recorded.forEach((expected, index) => {
    const event = events[index];
    if (event === undefined) return;
    const place = `event ${index}`;
    problems.push(...differs(`${place} contract`, expected.contract, world.nameOf(event.contract)));
    const topics = event.topics.map((topic) => topic.toXdr('base64'));
    const nativeTopics = event.topics.map((topic) => toNative(topic, world.nameOf));
    problems.push(
      ...differs(`${place} topics`, expected.topicsXdr ?? expected.topics, expected.topicsXdr ? topics : nativeTopics),
    );
    const hashed = typeof expected.data === 'string' && expected.data.startsWith('sha256:');
    const data = hashed
      ? `sha256:${sha256Hex(event.data.toXdr())}`
      : expected.dataXdr === undefined
        ? toNative(event.data, world.nameOf)
        : event.data.toXdr('base64');
    problems.push(...differs(`${place} data`, expected.dataXdr ?? expected.data, data));
  });
  return problems;
}

function compareResult(outcome: InvokeOutcome, step: RecordedStep, world: World): string[] {
  if (!outcome.ok) return [];
  if (step.resultXdr !== undefined) return differs('result', step.resultXdr, outcome.result.toXdr('base64'));
  return differs('result', step.result ?? null, toNative(outcome.result, world.nameOf));
}

function compareFootprint(
  outcome: InvokeOutcome,
  step: RecordedStep,
  touched: { read: string[]; written: string[] },
): string[] {
  if (!outcome.ok || step.resources === undefined) return [];
  const code = (outcome.code ?? []).map((hash) =>
    xdr.LedgerKey.contractCode(new xdr.LedgerKeyContractCode({ hash })).toXdr('base64'),
  );
  const written = new Set(touched.written);
  const readOnly = [...new Set([...touched.read, ...code])].filter((key) => !written.has(key));
  const isNonce = (key: string) => {
    const decoded = xdr.LedgerKey.fromXdr(key, 'base64');
    return decoded.type === 'contractData' && decoded.contractData.key.type === 'scvLedgerKeyNonce';
  };
  const sorted = (keys: Iterable<string>) => [...keys].filter((key) => !isNonce(key)).sort();
  return [
    ...differs('footprint, read only', sorted(step.resources.readOnly), sorted(readOnly)),
    ...differs('footprint, read and write', sorted(step.resources.readWrite), sorted(written)),
  ];
}

/** Names the escrow that a deployment created: `@escrow`, then `@escrow2` … */
function nameDeployed(outcome: InvokeOutcome, world: World): string | undefined {
  const result = outcome.ok && outcome.result.type === 'scvVec' ? outcome.result.vec?.[0] : undefined;
  if (result?.type !== 'scvAddress') return undefined;
  const contract = Address.fromScAddress(result.address).toString();
  if (!contract.startsWith('C') || [...world.names.values()].includes(contract)) return undefined;
  const count = [...world.names.keys()].filter((name) => name.startsWith('@escrow')).length;
  world.names.set(count === 0 ? '@escrow' : `@escrow${count + 1}`, contract);
  return contract;
}

interface Current {
  /** contract whose state is compared */
  escrow: string;
  balances: Map<string, bigint | null>;
}

function replayStep(step: RecordedStep, world: World, current: Current): string[] {
  const call = xdr.InvokeContractArgs.fromXdr(step.invokeXdr, 'base64');
  const enforced = step.authMode === 'enforced';
  const given = enforced ? (step.auth ?? []) : [];
  const { outcome, view } = world.run(step.ledger, {
    hostFunction: xdr.HostFunction.hostFunctionTypeInvokeContract(call),
    source: world.names.get(step.source) ?? step.source,
    mode: enforced ? 'enforce' : 'record',
    auth: given.flatMap((entry) =>
      entry.xdr === undefined ? [] : [xdr.SorobanAuthorizationEntry.fromXdr(entry.xdr, 'base64')],
    ),
    credentials: 'address',
  });
  const contract = Address.fromScAddress(call.contractAddress).toString();
  const deployed = nameDeployed(outcome, world);
  if (deployed !== undefined) current.escrow = deployed;
  else if (step.contract.startsWith('@escrow')) current.escrow = contract;
  const before = current.balances;
  current.balances = world.balances();
  const recordedAuth = (step.auth ?? []).map(({ credentials, root }) => ({ credentials, root }));
  const ttl = step.stateTtlLedgersLeft ?? 0;
  return [
    ...differs('outcome', recordedOutcome(step), outcomeOf(outcome, world)),
    ...compareResult(outcome, step, world),
    ...differs('balances', step.balances, changedBalances(before, current.balances)),
    ...differs('state', step.stateSha256 ?? null, world.stateHash(current.escrow)),
    ...(ttl > 0 ? differs('lifetime', ttl, world.ttl(current.escrow, step.ledger)) : []),
    ...compareEvents(outcome.ok ? outcome.events : [], step, world),
    ...(enforced ? [] : differs('auth', recordedAuth, authOf(outcome, step, world))),
    ...compareFootprint(outcome, step, view.touched()),
  ];
}

/** Replays every scenario; returns the number of steps. */
export function replayRecorded(file: RecordedFile, report: Report): number {
  let steps = 0;
  for (const scenario of file.scenarios) {
    const world = createWorld(file.meta, scenario.initialBalances);
    const current = { escrow: scenario.escrow, balances: world.balances() };
    for (const step of scenario.steps) {
      steps += 1;
      const differences = replayStep(step, world, current);
      if (differences.length > 0) report(`${scenario.name} / ${step.n} ${step.label} (${step.fn})`, differences);
    }
  }
  return steps;
}
