/**
 * The façade through which the API drives workflows: ids, policies and deadlines live here, so that routes speak of
 * orders and users only. Failures come back as `Refusal` (a reason and its details) or `Unavailable`.
 */
