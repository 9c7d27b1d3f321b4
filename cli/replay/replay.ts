/** `orchestrator replay`: a life once more, offline, on the code of this checkout. */
import { open as openInspector } from 'node:inspector';
import { styleText } from 'node:util';
import type { ServiceOptions } from '../services.ts';
import { withDeps } from '../why/system.ts';
import { type Life, replay } from './offline.ts';
import { fetchLife, readLife } from './source.ts';
import { type Step, brokenAt, failingStep, stepsOf } from './steps.ts';
import { type Verified, verifyAgain } from './verify.ts';

export interface ReplayOptions extends ServiceOptions {
  readonly fromFile?: string;
  readonly inspect?: boolean;
  readonly json?: boolean;
}

export interface Report {
  readonly workflow_id: string;
  /** ISO time of the copy that was read, because Temporal no longer knows the workflow; else null */
  readonly kept_at: string | null;
  /** the history fits the workflows of this checkout */
  readonly fits: boolean;
  /** why not */
  readonly error: string | null;
  readonly steps: readonly (Step & { readonly failing: boolean })[];
  /** null without a database, or without an envelope */
  readonly verified: Verified | null;
}

/** Ends with 1 when the history does not fit the code. */
export async function runReplay(id: string | undefined, options: ReplayOptions): Promise<void> {
  if ((id === undefined) === (options.fromFile === undefined)) throw new Error('name either an id or --from-file');
  const { life, verified } = await obtain(id, options);
  // The workflows run in this process; whoever debugs sets breakpoints before anything runs.
  if (options.inspect === true) openInspector(9229, '127.0.0.1', true);
  const report = await reportOf(life, verified);
  const lines = options.json === true ? [JSON.stringify(report, plain)] : renderReport(report);
  process.stdout.write(`${lines.join('\n')}\n`);
  if (!report.fits) process.exitCode = 1;
}

async function obtain(id: string | undefined, options: ReplayOptions) {
  if (options.fromFile !== undefined) return { life: await readLife(options.fromFile), verified: null };
  return withDeps(options, async (deps) => {
    const life = await fetchLife(deps, id ?? '');
    return { life, verified: await verifyAgain(deps, life.workflowId) };
  });
}

async function reportOf(life: Life, verified: Verified | null): Promise<Report> {
  const steps = stepsOf(life.history);
  const { calls, errors } = await replay([life]);
  const error = errors.get(life.workflowId) ?? null;
  const called = calls.get(life.workflowId) ?? [];
  const failing = failingStep(steps, error === null ? null : brokenAt(steps, error, called.length));
  const inputs = localInputs(steps, called);
  return {
    workflow_id: life.workflowId,
    kept_at: life.keptAt ?? null,
    fits: error === null,
    error: error?.message ?? null,
    steps: steps.map((step) => ({ ...step, input: inputs.get(step) ?? step.input, failing: step === failing })),
    verified,
  };
}

/** A history does not hold what local activities were called with; the replay does, call by call of the same name. */
function localInputs(steps: readonly Step[], calls: readonly { activity: string; args: readonly unknown[] }[]) {
  const waiting = Map.groupBy(calls, ({ activity }) => activity);
  const inputs = new Map<Step, Step['input']>();
  for (const step of steps) {
    if (step.kind !== 'LOCAL' && step.kind !== 'ACTIVITY') continue;
    const call = waiting.get(step.name)?.shift();
    if (step.kind === 'LOCAL' && call !== undefined) inputs.set(step, call.args as Step['input']);
  }
  return inputs;
}

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value);
const SHOWN = 400;
const safe = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ');

function shown(values: readonly unknown[]): string {
  const text = values.map((value) => JSON.stringify(value)).join(', ');
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

function renderReport(report: Report): string[] {
  const { workflow_id: id, kept_at: keptAt, fits, error, steps, verified } = report;
  return [
    styleText('bold', id),
    ...(keptAt === null ? [] : [`Temporal no longer knows it: from the copy of ${keptAt}`]),
    fits ? 'fits the workflows of this checkout' : styleText('red', `does not fit: ${safe(error ?? '')}`),
    '',
    ...steps.flatMap(renderStep),
    ...(verified === null ? [] : ['', ...renderVerified(verified)]),
  ];
}

function renderStep(step: Report['steps'][number]): string[] {
  const { event, kind, name, label, input, outcome, result, failure, failing } = step;
  const title = `${String(event).padStart(4)}  ${kind.padEnd(8)} ${name}${label === null ? '' : `  (${label})`}  ${outcome}`;
  const lines = [
    ...(input.length === 0 ? [] : [`in  ${shown(input)}`]),
    ...(result.length === 0 ? [] : [`out ${shown(result)}`]),
    ...(failure === null
      ? []
      : [`✘   ${failure.message}`, ...(failure.details.length === 0 ? [] : [shown(failure.details)])]),
  ];
  const mark = failing ? styleText('red', '▶') : ' ';
  return [`${mark} ${safe(title)}`, ...lines.map((text) => `           ${safe(text)}`)];
}

function renderVerified({ transaction_id: id, step, status, verdict }: Verified): string[] {
  const said = 'unavailable' in verdict ? verdict.unavailable : verdict.verdict;
  const more =
    'differences' in verdict
      ? verdict.differences.map(({ field, expected, actual }) => `  ${field}: asked for ${expected}, came ${actual}`)
      : 'reason' in verdict
        ? [`  ${verdict.reason}`]
        : [];
  return [`stored envelope of ${step} (${id}, ${status}), verified now: ${said}`, ...more.map(safe)];
}
