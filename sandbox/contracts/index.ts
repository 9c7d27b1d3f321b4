/** The modelled contracts, as the rest of the sandbox uses them. */
export { ESCROW_KEY, MAINNET_FEE_WALLET } from './escrow.ts';
export { type ContractLine, type Deployment, deploymentOf, genesisContracts } from './genesis.ts';
export { deployedId, INSTANCE_KEY, invokeHostFunction } from './host.ts';
export { balanceKey, sacId } from './sac.ts';
export { assemble, type ContractCall, simulateCall, type Simulation } from './simulate.ts';
export { WASM } from './wasm.ts';
