/** Replays the random files: a deployment and twelve calls per sequence, given by their plain arguments. */
import { Address, xdr } from '@stellar/stellar-sdk/base';
import type { InvokeOutcome } from '../core/types.ts';
import { callArguments, type Json, structValue } from './native.ts';
import { changedBalances, type Report } from './recorded.ts';
import { createWorld, type Meta, sha256Hex, standardBalances, type World } from './world.ts';

interface RandomStep {
  readonly c: string;
  readonly s: string;
  readonly a: readonly Json[];
  readonly o: string;
  readonly b?: Readonly<Record<string, string | null>>;
  readonly h: string | null;
  readonly x: string;
  readonly sig?: readonly string[];
}

export interface RandomFile {
  readonly meta: Meta;
  readonly sequences: readonly {
    readonly seed: number;
    readonly contract: string;
    readonly salt: string;
    readonly deploy: { readonly escrow: Json; readonly ok: boolean; readonly x: string; readonly h: string | null };
    readonly steps: readonly RandomStep[];
  }[];
}

const FIRST_LEDGER = 60_000_004;
const short = (hash: string | null): string | null => hash?.slice(0, 16) ?? null;

function outcomeOf(outcome: InvokeOutcome, world: World): string {
  if (outcome.ok) return 'ok';
  if (outcome.code === null) return `HOST ${outcome.raw}`;
  const name = world.nameOf(outcome.contract ?? '');
  return `${name === '@sac' ? 'sac' : name.startsWith('@factory') ? 'factory' : 'escrow'} ${outcome.code}`;
}

function signersOf(outcome: InvokeOutcome, world: World): string[] {
  if (!outcome.ok) return [];
  return outcome.auth.flatMap(({ credentials }) =>
    credentials.type === 'sorobanCredentialsAddress'
      ? [world.nameOf(Address.fromScAddress(credentials.address.address).toString())]
      : [],
  );
}

const differs = (what: string, expected: unknown, actual: unknown): string[] =>
  JSON.stringify(expected) === JSON.stringify(actual)
    ? []
    : [`${what}: recorded ${JSON.stringify(expected)}, model ${JSON.stringify(actual)}`];

const lookupIn = (world: World) => (name: string) => {
  const address = world.names.get(name);
  if (address === undefined) throw new Error(`unknown name ${name}`);
  return address;
};

function deployCall(file: RandomFile, sequence: RandomFile['sequences'][number], world: World): xdr.InvokeContractArgs {
  const deployer = lookupIn(world)('@deployer');
  const hex = (text: string) => xdr.ScVal.scvBytes(new Uint8Array(Buffer.from(text, 'hex')));
  const single = 'amount' in (sequence.deploy.escrow as object);
  return new xdr.InvokeContractArgs({
    contractAddress: new Address(lookupIn(world)('@factory')).toScAddress(),
    functionName: single ? 'tw_new_single_release_escrow' : 'tw_new_multi_release_escrow',
    args: [
      xdr.ScVal.scvAddress(new Address(deployer).toScAddress()),
      hex(file.meta.wasmSha256),
      hex(sequence.salt),
      xdr.ScVal.scvSymbol('initialize_escrow'),
      xdr.ScVal.scvVec([structValue(sequence.deploy.escrow, lookupIn(world))]),
      xdr.ScVal.scvVec([]),
    ],
  });
}

function execute(
  world: World,
  ledger: number,
  source: string,
  call: xdr.InvokeContractArgs,
  before: Map<string, bigint | null>,
) {
  const { outcome } = world.run(ledger, {
    hostFunction: xdr.HostFunction.hostFunctionTypeInvokeContract(call),
    source: lookupIn(world)(source),
    mode: 'record',
    auth: [],
    credentials: 'address',
  });
  const after = world.balances();
  const changed = Object.entries(changedBalances(before, after)).map(([name, [, balance]]) => [name, balance]);
  return { outcome, after, changed: Object.fromEntries(changed.sort()) as Record<string, string | null> };
}

const sorted = (balances: Readonly<Record<string, string | null>>) =>
  Object.fromEntries(Object.entries(balances).sort());

/** Replays every sequence; returns the number of steps, deployments included. */
export function replayRandom(file: RandomFile, report: Report): number {
  let steps = 0;
  for (const sequence of file.sequences) {
    const world = createWorld(file.meta, standardBalances(file.meta));
    const { escrow, x, h, ok } = sequence.deploy;
    const deploy = deployCall(file, sequence, world);
    const first = execute(world, FIRST_LEDGER, '@deployer', deploy, world.balances());
    let balances = first.after;
    world.names.set('@escrow', sequence.contract);
    const problems = [
      ...differs('arguments', x, short(sha256Hex(deploy.toXdr()))),
      ...differs('outcome', ok, first.outcome.ok),
      ...differs('state', h, short(world.stateHash(sequence.contract))),
    ];
    if (problems.length > 0) report(`seed ${sequence.seed} / deploy ${JSON.stringify(escrow).slice(0, 40)}`, problems);
    sequence.steps.forEach((step, index) => {
      const token = step.c.startsWith('sac.');
      const fn = token ? step.c.slice(4) : step.c;
      const call = new xdr.InvokeContractArgs({
        contractAddress: new Address(token ? lookupIn(world)('@sac') : sequence.contract).toScAddress(),
        functionName: fn,
        args: callArguments(fn, step.a, lookupIn(world), world.storedEscrow(sequence.contract)),
      });
      const { outcome, after, changed } = execute(world, FIRST_LEDGER + 1 + index, step.s, call, balances);
      balances = after;
      const found = [
        ...differs('arguments', step.x, short(sha256Hex(call.toXdr()))),
        ...differs('outcome', step.o, outcomeOf(outcome, world)),
        ...differs('balances', sorted(step.b ?? {}), changed),
        ...differs('state', step.h, short(world.stateHash(sequence.contract))),
        ...differs('signers', step.sig ?? [], signersOf(outcome, world)),
      ];
      if (found.length > 0) report(`seed ${sequence.seed} / ${index} ${step.c}`, found);
    });
    steps += 1 + sequence.steps.length;
  }
  return steps;
}
