#nullable enable

using System.Runtime.CompilerServices;

// The tests look at the codec and at the state machine of a connection.
[assembly: InternalsVisibleTo("NetSwap.Tests")]
