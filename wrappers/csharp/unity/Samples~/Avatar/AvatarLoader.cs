#nullable enable

using System;
using System.Threading;
using NetSwap;
using UnityEngine;

/// <summary>
/// Shows a player's avatar, a PNG or JPEG on a NetSwap server, on the renderer of this object. The pointer comes over the
/// game's own netcode, as 16 digits or as 64 bits: call <see cref="Show"/> when it does. When the record changes, the picture
/// does too.
/// </summary>
public sealed class AvatarLoader : MonoBehaviour
{
    [SerializeField]
    private string address = "127.0.0.1:7420";

    [SerializeField]
    private string pointer = "";

    [SerializeField]
    private Renderer? target;

    private CancellationTokenSource? shown;

    private void Start()
    {
        if (NetworkPointer.TryParse(pointer, out NetworkPointer parsed))
        {
            Show(parsed);
        }
    }

    private void OnDestroy()
    {
        shown?.Cancel();
    }

    /// <summary>Shows another avatar.</summary>
    /// <param name="avatar">Its record.</param>
    public async void Show(NetworkPointer avatar)
    {
        shown?.Cancel();
        var source = new CancellationTokenSource();
        shown = source;
        try
        {
            // Unity goes on with what follows an await on its main thread, where textures may be touched. The client itself
            // works in the thread pool, so that no frame waits for it.
            await using NetSwapClient client = await NetSwapClient.ConnectAsync(address, source.Token);
            await using RecordMirror mirror = await client.MirrorAsync(avatar, source.Token);
            while (!source.IsCancellationRequested)
            {
                var texture = new Texture2D(2, 2);
                if (target != null && texture.LoadImage(mirror.Data.ToArray()))
                {
                    target.material.mainTexture = texture;
                }

                await mirror.ChangedAsync(source.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The object is gone, or shows something else.
        }
        catch (NetSwapException error)
        {
            Debug.LogWarning($"no avatar {avatar}: {error.Message}");
        }
    }
}
