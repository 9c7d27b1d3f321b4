/** What the ledgers of the Stellar network look like to us: assets, movements and the calls we make on an escrow. */

/** A Stellar asset; `issuer` null is the native asset (XLM). */
export interface Asset {
  readonly code: string;
  readonly issuer: string | null;
}

/**
 * One genuine balance change of a closed, successful transaction. Equal whatever source reports it, so that it can be
 * told apart by `(operationId, index)`: one transaction may carry many movements (F27).
 */
export interface Movement {
  /** operation id in Horizon form: decimal TOID, operation part 1-based */
  readonly operationId: string;
  /** position among the movements of this operation, 0-based, in the order the network emitted them */
  readonly index: number;
  readonly kind: 'PAYMENT' | 'TRANSFER' | 'MINT' | 'BURN' | 'CLAWBACK' | 'CREATE_ACCOUNT';
  /** G… or C…; null when the asset was minted or burned */
  readonly from: string | null;
  readonly to: string | null;
  readonly asset: Asset;
  /** stroops */
  readonly amount: bigint;
  readonly transactionHash: string;
  readonly ledger: number;
  /** ISO time of the ledger close */
  readonly closedAt: string;
}

export type EscrowType = 'SINGLE_RELEASE' | 'MULTI_RELEASE';

/** Addresses that the escrow contract stores; decided once, at deploy. */
interface EscrowRoles {
  readonly approver: string;
  readonly serviceProvider: string;
  readonly platform: string;
  readonly releaseSigner: string;
  readonly disputeResolver: string;
}

/** What an escrow contract is deployed with. Amounts are stroops; a multi-release escrow has amounts per milestone only. */
export interface EscrowTerms {
  readonly type: EscrowType;
  /** our escrow id: the only business key by which an escrow can be found again */
  readonly engagementId: string;
  readonly title: string;
  readonly description: string;
  readonly roles: EscrowRoles;
  readonly receiver: string;
  readonly amount: bigint;
  readonly platformFeeBps: number;
  readonly asset: { readonly code: string; readonly issuer: string };
  readonly milestones: readonly { readonly description: string; readonly amount: bigint; readonly receiver: string }[];
}

/** What one address gets of an escrow's money, before the contract's fees. */
export interface Distribution {
  readonly address: string;
  /** stroops, above zero */
  readonly amount: bigint;
}

/** One call on the escrow contract (or its factory), fully resolved: the acting wallet is the transaction source. */
export type EscrowCall =
  | { readonly fn: 'deploy'; readonly source: string; readonly terms: EscrowTerms }
  | {
      readonly fn: 'fund';
      readonly type: EscrowType;
      readonly source: string;
      readonly contractId: string;
      readonly amount: bigint;
    }
  | {
      readonly fn: 'change_milestone_status';
      readonly type: EscrowType;
      readonly source: string;
      readonly contractId: string;
      readonly milestoneIndex: number;
      readonly status: string;
      readonly evidence: string;
    }
  | {
      readonly fn: 'approve_milestone';
      readonly type: EscrowType;
      readonly source: string;
      readonly contractId: string;
      readonly milestoneIndex: number;
    }
  | {
      readonly fn: 'release' | 'dispute';
      readonly type: EscrowType;
      readonly source: string;
      readonly contractId: string;
      /** null for a single-release escrow */
      readonly milestoneIndex: number | null;
    }
  | {
      readonly fn: 'resolve_dispute';
      readonly type: EscrowType;
      readonly source: string;
      readonly contractId: string;
      /** null for a single-release escrow */
      readonly milestoneIndex: number | null;
      /** single: adds up to the whole balance; multi: at most the milestone's amount */
      readonly distributions: readonly Distribution[];
    }
  | {
      readonly fn: 'withdraw_remaining_funds';
      readonly type: EscrowType;
      readonly source: string;
      readonly contractId: string;
      readonly distributions: readonly Distribution[];
    };
