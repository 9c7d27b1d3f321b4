/** What this deployment offers: assets, limits, features. The limits are those that are enforced. */
import { z } from 'zod';
import { MILESTONES_MAX } from '../../domain/limits.ts';
import { formatAmount } from '../../domain/money.ts';
import { Amount } from '../../domain/resources/common.ts';
import { route } from '../route.ts';
import { VERSION } from '../version.ts';

const ConfigSchema = z
  .object({
    network: z.string(),
    assets: z.array(z.object({ code: z.string(), issuer: z.string(), decimals: z.literal(7) })),
    limits: z.object({
      order_min: Amount,
      order_max: Amount,
      withdrawal_min: Amount,
      withdrawal_max: Amount.nullable(),
      milestones_max: z.int(),
      rate_per_minute: z.int().nullable().meta({ description: 'null: not limited' }),
    }),
    features: z.record(z.string(), z.boolean()),
    versions: z.record(z.string(), z.string()).meta({
      description:
        '`workflows`: which workflow code the workers run; absent while the workflow service does not answer',
    }),
  })
  .meta({ id: 'Config' });

export const CONFIG_ROUTES = [
  route({
    method: 'get',
    path: '/config',
    tag: 'config',
    summary: 'Assets, limits and features of this deployment',
    access: { keys: 'any', scope: 'read' },
    answers: { 200: ConfigSchema },
    reasons: [],
    handle: async ({ deps: { config, workflows } }) => {
      const builds = await workflows.workflowBuilds().catch(() => []);
      const body = {
        network: config.network,
        assets: config.assets.map(({ code, issuer }) => ({ code, issuer, decimals: 7 as const })),
        limits: {
          order_min: formatAmount(config.orderLimits.min),
          order_max: formatAmount(config.orderLimits.max),
          withdrawal_min: formatAmount(config.withdrawalLimits.min),
          withdrawal_max: config.withdrawalLimits.max === null ? null : formatAmount(config.withdrawalLimits.max),
          milestones_max: MILESTONES_MAX,
          rate_per_minute: null,
        },
        features: {
          milestones: true,
          disputes: true,
          withdrawals: true,
          webhooks: false,
          own_wallets: true,
          sandbox: config.sandboxControlUrl !== null,
        },
        versions: {
          api: 'v1',
          orchestrator: VERSION,
          ...(builds.length > 0 ? { workflows: builds.join(', ') } : {}),
        },
      };
      return { status: 200, body };
    },
  }),
];
