/** Faults that happen to the network itself, at the moment a request arrives. */
import { Operation } from '@stellar/stellar-sdk/base';
import { formatAmount } from '../../domain/money.ts';
import type { Dispenser } from '../control/dispenser.ts';
import type { SandboxCore } from '../core/core.ts';
import { sdkAsset } from '../core/keys.ts';
import type { AssetId } from '../core/types.ts';
import type { ActName, FaultRule } from './registry.ts';

export type Acts = Readonly<Record<ActName, (rule: FaultRule) => unknown>>;

const SURGE_FEE = 10_000;
const SURGE_LEDGERS = 5;

/** @param startOver resets the network under the clock that runs */
export function createActs(network: {
  readonly core: SandboxCore;
  readonly issuer: Dispenser;
  readonly usdc: AssetId;
  readonly startOver: () => void;
}): Acts {
  const { core, issuer, usdc, startOver } = network;
  const asset = sdkAsset(usdc);
  return {
    pruned_history: ({ ledgers = 1 }) => core.prune(core.latest().sequence - ledgers + 1),
    frozen_trustline: ({ address: trustor = '' }) =>
      issuer.run(Operation.setTrustLineFlags({ trustor, asset, flags: { authorized: false } })),
    clawback: ({ address: from = '', amount }) => {
      const all = formatAmount(core.view().trustline(from, usdc)?.balance ?? 0n);
      return issuer.run(Operation.clawback({ from, asset, amount: amount ?? all }));
    },
    archived_entry: ({ address = '' }) => core.disturbances.archive(address),
    fee_surge: ({ fee = SURGE_FEE, ledgers = SURGE_LEDGERS }) => core.disturbances.surge(BigInt(fee), ledgers),
    network_reset: startOver,
  };
}
