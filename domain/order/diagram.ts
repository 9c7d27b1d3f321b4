/** `docs/state-machine.*`: the machine as a diagram, as tables and as JSON, generated so that they cannot differ from it. */
import { MILESTONE_STATUSES, ORDER_STATUSES, ORDER_VERBS, type OrderStatus } from '../statuses.ts';
import { TRANSITIONS, type Transition, refusal } from './machine.ts';
import { PART_TRANSITIONS } from './milestones.ts';

const nameOf = ({ verb, alsoBy }: Transition): string => [verb.replaceAll('_', ' '), ...alsoBy].join(' / ');

/** State diagram in Mermaid. */
function orderDiagram(): string {
  const lines = new Set<string>(['  [*] --> ORDER_CREATED: create']);
  for (const transition of TRANSITIONS) {
    const { from, enters, ways, ifDead } = transition;
    // What does not settle everything never shows the status in between.
    const closing = ways.filter((way) => enters !== null && way.at(-1) === 'CLOSED');
    const entered = enters !== null && closing.length > 0 ? closing : ways;
    if (enters !== null) lines.add(`  ${from} --> ${enters}: ${nameOf(transition)}`);
    for (const way of entered) draw(lines, enters ?? from, way, enters === null ? nameOf(transition) : null);
    for (const way of ways.filter((one) => !entered.includes(one))) draw(lines, from, way, nameOf(transition));
    if (ifDead !== null && enters !== null) lines.add(`  ${enters} --> ${ifDead}: proved dead`);
  }
  return ['stateDiagram-v2', ...lines, '  CLOSED --> [*]', ''].join('\n');
}

function draw(lines: Set<string>, from: OrderStatus, way: readonly OrderStatus[], name: string | null): void {
  [from, ...way].slice(0, -1).forEach((status, index) => {
    lines.add(`  ${status} --> ${way[index]}${index === 0 && name !== null ? `: ${name}` : ''}`);
  });
}

const waysOf = (ways: Transition['ways']): string => ways.map((way) => way.join(' → ')).join(' or ');

const cells = (...texts: readonly (string | null)[]): string => `| ${texts.map((text) => text ?? '').join(' | ')} |`;

export function orderMachineMarkdown(): string {
  return [
    '# The state machine of an order',
    '',
    'Generated from `domain/order/machine.ts` and `domain/order/milestones.ts` by `node cli/state-machine.ts`; a test compares.',
    'The same as data: `state-machine.json`, with the reason for which every other verb is refused.',
    '',
    '```mermaid',
    `${orderDiagram()}\`\`\``,
    '',
    '| from | verb | also by | while under way | leads to | if proved dead | needs |',
    '|---|---|---|---|---|---|---|',
    ...TRANSITIONS.map(({ from, verb, alsoBy, enters, ways, ifDead, needs }) =>
      cells(from, `\`${verb}\``, alsoBy.join(', '), enters, waysOf(ways), ifDead, needs),
    ),
    '',
    'While an operation is RUNNING or PARKED nothing else begins, but for `cancel` of an `escrow` or `fund` of which nothing',
    'is signed. What settles only some of the milestones leaves the order in its status, without the one in between.',
    '',
    '## Milestones',
    '',
    'An order without milestones is one part with the same life. The order is CLOSED when all are settled: RELEASED or REFUNDED',
    'when all are, SPLIT when they differ; DISPUTED exactly while all that is unsettled is in dispute.',
    '',
    '| from | by | to |',
    '|---|---|---|',
    ...PART_TRANSITIONS.map(({ from, by, to }) => cells(from, by, to.join(' or '))),
    '',
  ].join('\n');
}

export function orderMachineJson(): string {
  const refusals = ORDER_STATUSES.flatMap((status) =>
    ORDER_VERBS.filter((verb) => !TRANSITIONS.some((one) => one.from === status && one.verb === verb)).map((verb) => ({
      status,
      verb,
      reason: refusal(
        { status, operation: null, parts: ['OPEN'], hasMilestones: verb.includes('milestone'), live: false },
        verb,
      ),
    })),
  );
  const machine = {
    statuses: ORDER_STATUSES,
    verbs: ORDER_VERBS,
    transitions: TRANSITIONS.map(({ from, verb, alsoBy, enters, ways, ifDead, needs }) => ({
      from,
      verb,
      also_by: alsoBy,
      while_under_way: enters,
      leads_to: ways,
      if_proved_dead: ifDead,
      needs,
    })),
    refusals,
    milestones: { statuses: MILESTONE_STATUSES, transitions: PART_TRANSITIONS },
  };
  return `${JSON.stringify(machine, null, 2)}\n`;
}
