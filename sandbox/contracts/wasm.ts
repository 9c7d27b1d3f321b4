/** The contract builds the sandbox models, by the SHA-256 of their WASM. */
import { createHash } from 'node:crypto';
import type { Program } from './env.ts';
import { MAINNET_FEE_WALLET } from './escrow.ts';
import { multiProgram } from './multi.ts';
import { singleProgram } from './single.ts';

/** Hex SHA-256 of each modelled build. */
export const WASM = {
  /** mainnet builds of May 2026: the fee wallet is compiled in */
  single: '96d51751f924c938a081deb740056dc1c5cc60c6e645672062531f82957ed2fe',
  multi: '2ddb5ef1f8f029ea93313ed7a6886f763eda7287d8a08bacc0a427ab0aa1dc1f',
  /** testnet line: the fee wallet is an argument. The hash of the single-release build is not known: a stand-in */
  testnetSingle: createHash('sha256').update('single-release escrow, testnet line').digest('hex'),
  testnetMulti: '5618791548edfc44074e4b79e5d1b29f5712ff98eead12d22fb4d7f04d4edbf2',
} as const;

const programs = new Map<string, Program>([
  [WASM.single, singleProgram(MAINNET_FEE_WALLET)],
  [WASM.multi, multiProgram(MAINNET_FEE_WALLET)],
  [WASM.testnetSingle, singleProgram(null)],
  [WASM.testnetMulti, multiProgram(null)],
]);

/** The model of the build with this hash (hex). */
export const programOf = (hash: string): Program | undefined => programs.get(hash);
