/** What each reason means and what to do about it: the text of its page. */
import type { Reason } from '../../domain/reasons.ts';

export const ADVICE: Record<Reason, string> = {
  MALFORMED_JSON:
    'The body could not be read as one JSON object in UTF-8. Send an object, not an array or a bare value.',
  INVALID_HEADER: 'A header has a form that is not accepted. The detail names the header and its form.',
  IDEMPOTENCY_KEY_REQUIRED:
    'This call moves money outward. Send an Idempotency-Key of your own and keep it for repeats.',
  UNAUTHENTICATED:
    'No key was sent, or it is unknown, expired, revoked, or used from an address that it does not allow. Send Authorization: Bearer and the key.',
  INSUFFICIENT_SCOPE:
    'The key is valid but lacks the scope, or belongs to a marketplace where a platform key is needed.',
  NOT_FOUND: 'Nothing of yours has this id or path. What belongs to others is answered in the same way.',
  METHOD_NOT_ALLOWED: 'The path exists with other methods: see the Allow header.',
  INVALID_STATE:
    'The resource does not allow the verb now. current_status says where it stands, allowed what it takes instead. With retryable true another operation is running: repeat when it has settled.',
  USER_ALREADY_EXISTS:
    'The external id belongs to a user (user_id) of whom a given field differs. Change the user, or use another id.',
  CLIENT_REF_REUSED:
    'The reference belongs to an order (order_id) that was made from another body. A repeat must be equal.',
  USER_SUSPENDED: 'A suspended user takes part in no new order and no reservation. Activate the user first.',
  MARKETPLACE_PAUSED: 'The marketplace is paused. Reads and money coming in go on. Repeat later with the same key.',
  BODY_TOO_LARGE: 'The body is larger than any valid request.',
  UNSUPPORTED_MEDIA_TYPE: 'Bodies are application/json in UTF-8.',
  VALIDATION_ERROR: 'errors names every wrong part with a JSON pointer, a code and a sentence. Nothing was done.',
  INSUFFICIENT_FUNDS:
    'The available balance is smaller than the amount. What is reserved for other orders does not count.',
  LIMIT_EXCEEDED: 'The amount is outside the limits of this deployment: see /config.',
  DESTINATION_INVALID: 'The destination cannot receive this payment.',
  IDEMPOTENCY_KEY_REUSED: 'The key was used with another method, path or body. Use a new key for a new request.',
  OPERATION_FAILED:
    'The transaction is proved not to have happened and what was held for it is undone. What landed before stays and is shown. operation.error says why; the verb may be called again with a new key.',
  RATE_LIMITED: 'Too many requests. Wait as long as Retry-After says and repeat with the same key.',
  INTERNAL_ERROR: 'Something unexpected happened. Repeat with the same key; if it stays, report the request id.',
  UNAVAILABLE: 'A part of the service does not answer. What was asked may still happen: repeat with the same key.',
  ENVELOPE_REJECTED:
    'What was to be signed differs from what was asked for. Nothing was signed; an operator looks at it.',
  ENVELOPE_EXPIRED: 'The network did not take the transaction in time and never will. It may be tried again.',
  TRANSACTION_FAILED: 'The network refused the transaction. Nothing moved.',
  TRUSTLINE_UNUSABLE: 'A wallet that takes part cannot hold the asset now. An operator looks at it.',
  BOOKS_DIFFER: 'The books and the chain do not agree. An operator looks at it.',
  SPONSOR_LOW:
    'The account that pays fees and reserves lasts for fewer days than configured. An operator sends XLM to it.',
  PROVIDER_UNAVAILABLE:
    'Nothing is lost and nothing has to be repeated: what needs the service goes on when it answers again.',
  CANCELED: 'The operation was ended by a cancel, or by the funding deadline, before anything was signed.',
  RESOLUTION_STUCK:
    'The dispute is open on chain, so the money can only be shared out, and that keeps failing. An operator looks at it.',
  SURPLUS:
    'Somebody paid into the contract of an order that is over, or more than the order needed. Two persons say to which address it goes.',
};
