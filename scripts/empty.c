/* A library needs a source: this one stands in for a wing that has none yet. */
typedef int tly_empty;
