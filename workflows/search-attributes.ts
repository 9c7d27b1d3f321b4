/** What operators filter workflows by: the one list of names. They must exist in the namespace before the first workflow. */
import { defineSearchAttributeKey } from '@temporalio/common';

export const ORDER_ID = defineSearchAttributeKey('OrderId', 'KEYWORD');
export const MARKETPLACE_ID = defineSearchAttributeKey('MarketplaceId', 'KEYWORD');
export const ORDER_STATUS = defineSearchAttributeKey('OrderStatus', 'KEYWORD');
/** C… of the order's escrow, from its deployment on */
export const ESCROW_CONTRACT_ID = defineSearchAttributeKey('EscrowContractId', 'KEYWORD');
/** inner hash of the workflow's last transaction that landed */
export const TX_HASH = defineSearchAttributeKey('TxHash', 'KEYWORD');
export const WALLET_ID = defineSearchAttributeKey('WalletId', 'KEYWORD');
/** a person has to look */
export const ATTENTION = defineSearchAttributeKey('Attention', 'BOOL');
/** the next timer of the workflow's own */
export const DUE_AT = defineSearchAttributeKey('DueAt', 'DATETIME');

export const SEARCH_ATTRIBUTES = [
  ORDER_ID,
  MARKETPLACE_ID,
  ORDER_STATUS,
  ESCROW_CONTRACT_ID,
  TX_HASH,
  WALLET_ID,
  ATTENTION,
  DUE_AT,
] as const;
