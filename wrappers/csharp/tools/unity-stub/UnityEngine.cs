// What the sample and the README use of Unity, so that they can be compiled without it. Nothing of it runs.
namespace UnityEngine
{
    public class Object
    {
    }

    public class MonoBehaviour : Object
    {
    }

    [System.AttributeUsage(System.AttributeTargets.Field)]
    public sealed class SerializeField : System.Attribute
    {
    }

    public class Texture : Object
    {
    }

    public class Texture2D : Texture
    {
        public Texture2D(int width, int height)
        {
        }
    }

    public static class ImageConversion
    {
        public static bool LoadImage(this Texture2D texture, byte[] data) => data.Length > 0;
    }

    public class Material : Object
    {
        public Texture? mainTexture { get; set; }
    }

    public class Renderer : Object
    {
        public Material material { get; } = new Material();
    }

    public static class Debug
    {
        public static void Log(object message)
        {
        }

        public static void LogWarning(object message)
        {
        }
    }
}
